"""How often an audit calls memory what is none, and misses what is.

    GAHB_PHOTOGRAPHS=FOLDER python experiments/audit_rates.py

The score of an audit is its measured memory in decibels, `Memory` of `gahb_theory.hypotheses`. It is computed for

    exact memorisers     EmpiricalBayes of N images, audited with these images (memory) and with N others (none)
    planted duplicates   the same, with one image in ten of the list really trained on, the others not (memory of a tenth)
    exact Gaussians      Wiener filters of 4,000 other images (none)
    committed networks   trained on N images of half A or B, audited with their images and with those of the other half

A committed network that is audited with its images counts as memory only by what it was trained on; whether so short a
training has left any is what the score says, and it is printed beside. Results: results/audit/rates.json.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import gahb_theory as gt
from gahb_theory import runs
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.hypotheses import DisjointPart, Plan, assess, catalogue

HERE = Path(__file__).parent
SIZE, IMAGES = 32, 64
EXACT_SETS, EXACT_N = 6, (10, 100, 1000)


def audited(f: gt.Denoiser, train: Tensor, test: Tensor, others: Tensor) -> dict[str, Any]:
    """Verdict, score and interval of the memory of f."""
    result = assess(catalogue.memorises(train, others, Plan(images=len(test))), f, images=test, train=others)
    e = result.estimate
    return {"verdict": result.verdict, "score": e.value, "low": e.low, "high": e.high, "null": result.nulls[0].passes}


def cases() -> Iterator[tuple[str, gt.Denoiser, Tensor, bool]]:
    """Name, denoiser, list of training images, whether it was trained on them."""
    image_class = gt.Photographs(os.environ.get("GAHB_PHOTOGRAPHS"), size=SIZE)
    pool = DisjointPart(image_class, 6000, 0).images()
    gaussian = GaussianDenoiser.fit(pool[2000:])
    for k in range(EXACT_SETS):
        for n in EXACT_N:
            mine, stranger = pool[k * n : (k + 1) * n], DisjointPart(image_class, (k + 1) * n, 1).images()[k * n :]
            f = gt.EmpiricalBayes(mine)
            yield f"memoriser of {n}", f, mine, True
            yield f"memoriser of {n}, other list", f, stranger, False
            if n >= 100:
                listed = stranger.clone()
                listed[::10] = mine[::10]
                yield f"memoriser of {n}, a tenth of the list", f, listed, True
        yield "Gaussian", gaussian, pool[k * 100 : (k + 1) * 100], False
    for n in (1, 10, 100, 1000, 10_000):
        sets = {half: DisjointPart(image_class, min(n, 1000), part).images() for part, half in enumerate("AB")}
        for half, other in ("AB", "BA"):
            f = gt.load_denoiser(HERE / "checkpoints" / f"photographs_{n}_{half}")
            yield f"network of {n}", f, sets[half], True
            yield f"network of {n}, other list", f, sets[other], False


def main() -> None:
    """Measure, print, and write the file."""
    if not os.environ.get("GAHB_PHOTOGRAPHS"):
        raise SystemExit(
            "set GAHB_PHOTOGRAPHS to the folder of photographs that the committed networks were trained on"
        )
    image_class = gt.Photographs(os.environ.get("GAHB_PHOTOGRAPHS"), size=SIZE)
    test = DisjointPart(image_class, 2 * IMAGES + 2000, 2).images()
    test, others = test[:IMAGES], test[2 * IMAGES :]
    rows = []
    for name, f, train, seen in cases():
        rows.append({"case": name, "trained on the list": seen, **audited(f, train, test, others)})
        print(
            f"{name:42}{rows[-1]['verdict']:20}{rows[-1]['score']:8.2f} [{rows[-1]['low']:.2f}, {rows[-1]['high']:.2f}]",
            flush=True,
        )
    kinds = {}
    for kind in ("memoriser", "network"):
        chosen = [r for r in rows if r["case"].startswith((kind, "Gaussian"))]
        truth = np.array([r["trained on the list"] for r in chosen])
        scores = np.array([r["score"] for r in chosen])
        steps = [
            {
                "threshold": float(t),
                "true positives": float((scores[truth] > t).mean()),
                "false positives": float((scores[~truth] > t).mean()),
            }
            for t in sorted({-np.inf, *scores.tolist()})
        ]
        area = float((scores[truth][:, None] > scores[~truth][None, :]).mean())
        called = np.array([r["verdict"] == "supported" for r in chosen])
        kinds[kind] = {
            "area": area,
            "called memory though trained on others": int(called[~truth].sum()),
            "trained on others": int((~truth).sum()),
            "called memory and trained on the list": int(called[truth].sum()),
            "trained on the list": int(truth.sum()),
            "curve": steps,
        }
        print(kind, {key: value for key, value in kinds[kind].items() if key != "curve"})
    runs.write_json(runs.make_directory(HERE / "results" / "audit") / "rates.json", {"rows": rows, "rates": kinds})


if __name__ == "__main__":
    main()
