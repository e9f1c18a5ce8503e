"""Write what README.md prints: outputs and pictures of its examples, and its tables, from the results that are kept.

    python experiments/readme.py          tables and outputs, at once
    python experiments/readme.py run      also runs the examples again, the first for another network too: three minutes

Each stands between the lines "begin: NAME" and "end: NAME". Verdicts come in the order failures, undecided, the rest.
"""

import csv
import io
import re
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path

import torch

from gahb_theory import runs
from gahb_theory.report import verdict_page

HERE = Path(__file__).parent
RESULTS, README = HERE / "results", HERE.parent / "README.md"
OUTPUTS, PICTURES = RESULTS / "readme.json", HERE.parent / "docs" / "images"
EXAMPLES = ("hypothesis", "benchmark", "denoiser")
ORDER = (
    "refuted",
    "not converged",
    "not discriminating",
    "undecided",
    "supported",
)
DECIDED = RESULTS / "claims" / "verdicts.json"
"""The paper's claims; all other verdicts are on hypotheses of other origin."""
SHIPPED = {
    "network": "{}",
    "shrinkage": "{}, S y alone",
    "sym4_oracle": "sym4 oracle",
    "wiener": "Wiener filter",
    "noisy": "noisy image",
}


def examples(text: str) -> dict[str, str]:
    """The code of each example, by the name of the output that follows it."""
    return {name: code for code, name in re.findall(r"```python\n(.*?)```\n\n<!-- begin: (\w+) -->", text, re.DOTALL)}


def run() -> None:
    """Run the examples, and keep what they print and draw."""
    torch.set_num_threads(1)
    printed = {}
    codes = examples(README.read_text())
    other = {"hypothesis of c_alpha": codes["hypothesis"].replace("unet_c_alpha", "c_alpha")}
    for name, code in (other | codes).items():
        with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(io.StringIO()) as out:
            exec(compile(code, name, "exec"), {"__name__": name})
            for picture in Path(folder).glob("*.png"):
                runs.write_bytes(PICTURES / picture.name, picture.read_bytes())
        printed[name] = out.getvalue().rstrip().splitlines()
        print(out.getvalue(), flush=True)
    runs.write_json(OUTPUTS, printed)


def in_order(rows: list[tuple[str, ...]]) -> str:
    """Verdict, claim, what was measured, and where it lies, as a table, failures and undecided ones first."""
    lines = ["| verdict | claim | measured | in `experiments/results/` |", "|---|---|---|---|"]
    for verdict, *cells in sorted(rows, key=lambda row: ORDER.index(row[0])):
        lines.append(f"| **{verdict}** | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def hypotheses() -> str:
    """The verdicts on hypotheses that are not claims of the paper, each with null models."""
    rows = []
    for path in sorted(RESULTS.glob("*/verdict*.json")):
        if path == DECIDED:
            continue
        content = runs.read_json(path)
        for v in [content] if "statement" in content else content.values():
            e = v["estimate"]
            value, low, high = e if isinstance(e, list) else (e["value"], e["low"], e["high"])
            measured = f"{value:.3g} [{low:.3g}, {high:.3g}], criterion {v['criterion']}"
            rows.append((v["verdict"], v["statement"], measured, path.parent.name))
    return in_order(rows)


def shipped() -> str:
    """PSNR of the denoisers that come with the library, and of what they are compared with."""
    lines = []
    for name in ("c_alpha", "photographs"):
        with (RESULTS / "shipped" / name / "psnr.csv").open() as file:
            table = list(csv.DictReader(file))
        if not lines:
            lines = ["| sigma | " + " | ".join(f"{float(row['sigma']):g}" for row in table) + " |"]
            lines.append("|---" * (len(table) + 1) + "|")
        for key, label in SHIPPED.items():
            lines.append(f"| {label.format(name)} | " + " | ".join(f"{float(row[key]):.2f}" for row in table) + " |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """A page with what stands between its markers."""
    printed = runs.read_json(OUTPUTS)
    parts = {name: "\n".join(["```text", *printed[name], "```"]) for name in EXAMPLES}
    parts |= {"hypotheses": hypotheses(), "shipped": shipped()}
    parts["verdicts"] = verdict_page.block(runs.read_json(DECIDED))
    for name, part in parts.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        head, _, rest = text.partition(begin)
        _, found, tail = rest.partition(end)
        if not found:
            raise ValueError(f"the page lacks the lines {begin} and {end}")
        text = f"{head}{begin}\n{part}\n{end}{tail}"
    return text


if __name__ == "__main__":
    if sys.argv[1:] == ["run"]:
        run()
    README.write_text(filled(README.read_text()))
