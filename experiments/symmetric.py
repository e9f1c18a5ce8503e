"""Symmetric against plain at equal budget: what an exactly symmetric Jacobian costs, and what it gives.

    python experiments/symmetric.py        trains and measures what is missing, about 40 minutes on one core
    python experiments/symmetric.py draw   the table and the figure of what has been measured

Subject: `Conservative(SmoothUNet(8, 2))`; rival: `SmoothUNet(8, 2)`, the same network without the construction. C^alpha
images (alpha = 2) of 16 pixels, 60,000 images seen, three seeds; the images of different seeds are disjoint. The networks are
those of experiments/asymmetry.py. Every claim has a threshold that was written before the numbers, null models
that must fail, and two gates: better than a Wiener filter, and twice the budget changes nothing. Three choices were made after
seeing numbers: LATER names them. Killed at any moment, the same command goes on.
"""

import importlib.util
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses import (
    AnotherSeed,
    Assessment,
    BeatsSimple,
    Criterion,
    GateResult,
    Given,
    OtherGeometry,
    Plan,
    Untrained,
    Wiener,
)
from gahb_theory.hypotheses.basis_measures import adaptivity
from gahb_theory.hypotheses.gates import change_inside_interval
from gahb_theory.metrics.errors import psnr_per_image
from gahb_theory.runs import write_bytes

_spec = importlib.util.spec_from_file_location("asymmetry", Path(__file__).with_name("asymmetry.py"))
assert _spec is not None
assert _spec.loader is not None
asymmetry = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(asymmetry)

PLAIN, SYMMETRIC = "SmoothUNet, 60,000 images", "Conservative(SmoothUNet), 60,000 images"
UNET = "UNet, 60,000 images"
FEWER = {PLAIN: "SmoothUNet", SYMMETRIC: "Conservative(SmoothUNet)"}
SEEDS = asymmetry.SEEDS
RESULTS = Path(__file__).parent / "results" / "symmetric"
VERDICTS, TABLE, FIGURE = RESULTS / "verdicts.json", RESULTS / "README.md", RESULTS / "symmetric.png"
X = asymmetry.X
TEST_SEED, OTHERS_SEED = 2**41, 2**42
SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
BASES = (0.05, 0.1)
FOR_DENSITY = (0.02, 0.1, 0.5)
LATER = """Chosen after seeing numbers: the noise levels and the number of images of the claim on eigenbases (at .05 and .2 with
12 images the Wiener gate failed), the null model of the negative part (the UNet; an untrained network has none either), and the
measure of agreement in log p, 1 - (a - b)^2 / 2 of standardised values, which has the mean of their product and narrower
intervals. The three pairs of networks share three networks. Fresh data has not confirmed these verdicts."""
SHOWN_SIGMA, SHOWN = 0.1, (0, 1, 2, 4, 8, 16)


def networks(label: str) -> list[Any]:
    """The networks of all seeds, trained where they are missing."""
    return [asymmetry.network(label, seed) for seed in SEEDS]


def train() -> None:
    """Train what is missing, the longest last."""
    for label in (SYMMETRIC, PLAIN, UNET, *FEWER.values()):
        networks(label)
    for label in (SYMMETRIC, PLAIN):
        for seed in SEEDS:
            asymmetry.network(label, seed, 2)


def psnr(f: Any, images: Tensor, sigma: float, seed: int) -> Tensor:
    """PSNR of each image in dB."""
    with torch.no_grad():
        return psnr_per_image(images, f(gt.add_noise(images, sigma, seed=seed), sigma))


def negative_part(f: Any, images: Tensor, sigma: float, seed: int) -> Tensor:
    """Sum of the negative eigenvalues of S, over the sum of the absolute values of all."""
    y, found = gt.add_noise(images, sigma, seed=seed), []
    for i in range(len(y)):
        J = gt.jacobian(f, y[i : i + 1], sigma).matrix().double()
        values = torch.linalg.eigvalsh((J + J.mT) / 2)
        found.append(-values.clamp(max=0).sum() / values.abs().sum())
    return torch.stack(found)


def log_density(f: Any, y: Tensor, sigma: float) -> Tensor:
    """log p of each noisy image up to a constant, of a conservative or of a Gaussian denoiser."""
    if isinstance(f, gt.Conservative):
        with torch.no_grad():
            return f.log_density(y, sigma).double()
    coefficients = (y - f.mean.to(y)).flatten(1).double() @ f.atoms.double().mT
    return -(coefficients.square() / (f.variances.double() + sigma**2)).sum(dim=1) / 2


def standard(values: Tensor) -> Tensor:
    """Deviations from the mean over images, in units of their root mean square."""
    deviations = values - values.mean()
    return deviations / deviations.square().mean().sqrt().clamp(min=1e-30)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """One number for each image, whose mean is the correlation."""
    return 1 - (standard(a) - standard(b)).square() / 2


@dataclass(frozen=True, eq=False)
class Agreement:
    """1 - (a - b)^2 / 2, a and b the standardised log p of f and of its twin, the model of the next seed.

    Its mean is their correlation, as is that of a b, which varies more from image to image.
    """

    twins: list[Any]
    name: str = "correlation of log p with that of a model of disjoint images"

    def __call__(self, f: Any, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        y = gt.add_noise(images, sigma, seed=seed)
        twin = self.twins[(seed + 1) % len(self.twins)]
        return correlation(log_density(f, y, sigma), log_density(twin, y, sigma))


@dataclass(frozen=True, eq=False)
class AgreementBeyond:
    """The same of what is left of log p after regression on 1, ||y||^2, and log p of a Gaussian fit to images of its own.

    Two Gaussian fits of disjoint images, one for f and one for the twin: with one for both, its errors would be common.
    """

    twins: list[Any]
    gaussians: tuple[GaussianDenoiser, GaussianDenoiser]
    name: str = "correlation of log p beyond a Gaussian"

    def __call__(self, f: Any, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        y, left = gt.add_noise(images, sigma, seed=seed), []
        for g, gaussian in zip((f, self.twins[(seed + 1) % len(self.twins)]), self.gaussians, strict=True):
            value = standard(log_density(g, y, sigma))
            columns = (torch.ones_like(value), y.double().square().sum((1, 2, 3)), log_density(gaussian, y, sigma))
            design = torch.stack([columns[0], *(standard(c) for c in columns[1:])], dim=1)
            left.append(standard(value - design @ torch.linalg.lstsq(design, value[:, None]).solution[:, 0]))
        return correlation(*left)


@dataclass(frozen=True, eq=False)
class BudgetDoubled:
    """Twice the budget changes the mean of the measure by less than half its interval, for the seeds that were trained so."""

    labels: tuple[str, ...]
    name: str = "twice the budget changes nothing"

    def check(self, run: Any) -> GateResult:
        """Whether it is passed."""
        seeds = [s for s in SEEDS if all(asymmetry.checkpoint(label, s, 2).exists() for label in self.labels)]
        if not seeds:
            return GateResult(self.name, None, "not looked at: no network of twice the budget")
        h, x = run.hypothesis, run.settings[0].images
        change = 0.0
        for sign, label in zip((1, -1), self.labels, strict=False):
            for seed in seeds:
                long, short = asymmetry.network(label, seed, 2), asymmetry.network(label, seed)
                for sigma in h.plan.sigmas:
                    apart = h.measure(long, x, sigma, seed).double() - h.measure(short, x, sigma, seed).double()
                    change += sign * float(apart.mean()) / len(seeds) / len(h.plan.sigmas)
        return change_inside_interval(self.name, change, run, f" ({len(seeds)} seeds)")


def row(a: Assessment) -> dict[str, Any]:
    """What is stored of a verdict."""

    def ends(e: Any) -> list[float]:
        return [round(float(v), 4) for v in (e.value, e.low, e.high)]

    return {
        "statement": a.statement,
        "verdict": a.verdict,
        "reason": a.reason,
        "criterion": a.criterion,
        "estimate": ends(a.estimate),
        "nulls": {n.name: [n.passes, *([] if n.estimate is None else ends(n.estimate))] for n in a.nulls},
        "gates": {g.name: [g.passed, g.detail] for g in a.gates},
        "smallest effect": round(a.power.smallest_effect, 4),
        "seeds and images": [len(a.values), a.values.shape[2]],
    }


def recorded() -> dict[str, dict[str, Any]]:
    """The verdicts that there are."""
    return json.loads(VERDICTS.read_text()) if VERDICTS.exists() else {}


def assess_all() -> None:
    """Assess what is missing."""
    known = recorded()
    symmetric, plain = Given(networks(SYMMETRIC), "conservative"), Given(networks(PLAIN), "plain")
    less = {label: Given(networks(FEWER[label]), f"{FEWER[label]}, 12,800 images") for label in FEWER}
    others = X.sample(4096, seed=OTHERS_SEED)
    both, alone = (BeatsSimple(), BudgetDoubled((SYMMETRIC, PLAIN))), (BeatsSimple(), BudgetDoubled((SYMMETRIC,)))

    def judge(name: str, h: gt.Hypothesis, subject: Any, rival: Any = None) -> None:
        if name in known:
            return
        images = X.sample(h.plan.images, seed=TEST_SEED)
        result = gt.assess(h, subject, rival, images=images, train=others)
        print(name, result, "", sep="\n", flush=True)
        known[name] = row(result)
        write_bytes(VERDICTS, json.dumps(known, indent=1).encode())

    for sigma in SIGMAS:
        h = gt.Hypothesis(
            f"At sigma = {sigma:g} symmetry costs less than .2 dB.",
            psnr,
            Criterion(-0.2, ">"),
            nulls=[Wiener(), less[SYMMETRIC], Untrained()],
            gates=both,
            plan=Plan(images=248, sigmas=(sigma,)),
            unit="dB",
        )
        judge(f"psnr, sigma = {sigma:g}", h, symmetric, plain)
    h = gt.Hypothesis(
        "Symmetry makes eigenbases more adapted to their image: own less foreign energy rises by more than .02.",
        adaptivity,
        Criterion(0.02, ">"),
        nulls=[Wiener(), OtherGeometry(), Untrained(), AnotherSeed()],
        gates=both,
        plan=Plan(images=24, sigmas=BASES),
    )
    judge("adaptivity", h, symmetric, plain)
    h = gt.Hypothesis(
        "Of a symmetric Jacobian the negative eigenvalues vanish: less than .02 of the sum of absolute values.",
        negative_part,
        Criterion(0.02, "<"),
        nulls=[plain, Given(networks(UNET), "UNet")],  # a Wiener filter has the property
        gates=alone,
        plan=Plan(images=24, sigmas=BASES),
    )
    judge("negative part", h, symmetric)
    h = gt.Hypothesis(
        "Symmetry makes the negative part of the spectrum smaller, by more than .02.",
        negative_part,
        Criterion(-0.02, "<"),
        nulls=[AnotherSeed(), less[PLAIN]],
        gates=both,
        plan=Plan(images=24, sigmas=BASES),
    )
    judge("negative part less that of plain", h, symmetric, plain)
    fits = [GaussianDenoiser.fit(X.sample(20_000, seed=OTHERS_SEED + 1 + s)) for s in range(len(SEEDS) + 2)]
    gaussians = Given(fits[: len(SEEDS)], "Gaussian fits")
    wide = Plan(images=256, sigmas=FOR_DENSITY)

    for sigma in FOR_DENSITY:
        h = gt.Hypothesis(
            f"At sigma = {sigma:g} log p of two networks from disjoint images correlates by more than .9.",
            Agreement(symmetric.denoisers),
            Criterion(0.9, ">"),
            nulls=[gaussians, Untrained()],
            gates=alone,
            plan=replace(wide, sigmas=(sigma,)),
        )
        judge(f"log p, sigma = {sigma:g}", h, symmetric)
        h = replace(
            h,
            statement=f"At sigma = {sigma:g} log p correlates by more than .5 also in what a Gaussian fit and the norm leave.",
            measure=AgreementBeyond(symmetric.denoisers, (fits[-2], fits[-1])),
            criterion=Criterion(0.5, ">"),
        )
        judge(f"log p beyond a Gaussian, sigma = {sigma:g}", h, symmetric)


def gaussians_agree() -> dict[str, float]:
    """Correlation of log p of two Gaussian fits to disjoint images, at each noise level."""
    a, b = (GaussianDenoiser.fit(X.sample(20_000, seed=OTHERS_SEED + 1 + s)) for s in range(2))
    found = {}
    for sigma in FOR_DENSITY:
        y = gt.add_noise(X.sample(256, seed=TEST_SEED), sigma, seed=0)
        found[f"{sigma:g}"] = float(correlation(log_density(a, y, sigma), log_density(b, y, sigma)).mean())
    return found


def table() -> str:
    """The verdicts as Markdown, negative ones first."""
    order = ("refuted", "not converged", "not discriminating", "undecided", "supported")
    rows = sorted(recorded().values(), key=lambda v: order.index(v["verdict"]))
    lines = ["# Symmetric against plain at equal budget", ""]
    lines += ["`python experiments/symmetric.py`. 95 % intervals over three seeds and the test images.", "", LATER, ""]
    lines += ["| verdict | claim | measured | null models | twice the budget |", "|---|---|---|---|---|"]
    for v in rows:
        mean, low, high = v["estimate"]
        nulls = "; ".join(f"{n} {e[1]:.3g} ({e[0]})" for n, e in v["nulls"].items() if len(e) > 1)
        gate = v["gates"][BudgetDoubled.name][1]
        lines.append(
            f"| **{v['verdict']}** | {v['statement']} | {mean:.3g} [{low:.3g}, {high:.3g}] | {nulls} | {gate} |"
        )
    lines += ["", "## Correlation of log p of two Gaussian fits to disjoint images", ""]
    lines += [f"- sigma = {sigma}: {value:.4f}" for sigma, value in gaussians_agree().items()]
    return "\n".join(lines) + "\n"


def draw() -> None:
    """Eigenvectors of both networks side by side, signs aligned, eigenvalues above; a Wiener filter in grey."""
    import matplotlib.pyplot as plt

    x = X.sample(1, seed=TEST_SEED)
    y = gt.add_noise(x, SHOWN_SIGMA, seed=0)
    models = {
        "Wiener filter": GaussianDenoiser.fit(X.sample(4096, seed=OTHERS_SEED)),
        "plain": networks(PLAIN)[0],
        "conservative": networks(SYMMETRIC)[0],
    }
    figure = plt.figure(figsize=(9, 6.4), layout="constrained")
    grid = figure.add_gridspec(4, len(SHOWN) + 1, height_ratios=(1.6, 1, 1, 1))
    spectrum = figure.add_subplot(grid[0, :-1])
    clean = figure.add_subplot(grid[0, -1])
    clean.imshow(x[0, 0], cmap="gray", vmin=0, vmax=1)
    clean.set_title("clean image", fontsize=8)
    clean.axis("off")
    reference: Tensor | None = None
    for place, ((name, f), colour) in enumerate(zip(models.items(), ("0.6", "C0", "C3"), strict=True), 1):
        J = gt.jacobian(f, y, SHOWN_SIGMA)
        E = J.eigenbasis()
        spectrum.plot(
            range(1, len(E.eigenvalues) + 1), E.eigenvalues, color=colour, label=f"{name}: {J.reproduction(x)}"
        )
        atoms = E.atoms[list(SHOWN)]
        if reference is not None:
            atoms = atoms * torch.where((atoms * reference).sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
        reference = atoms  # of the model above
        side = figure.add_subplot(grid[place, -1])
        side.axis("off")
        side.text(0, 0.5, name, va="center", color=colour)
        for column, (k, atom) in enumerate(zip(SHOWN, atoms, strict=True)):
            ax = figure.add_subplot(grid[place, column])
            bound = float(atom.abs().max())
            ax.imshow(atom.reshape(x.shape[2:]), cmap="gray" if place == 1 else "RdBu_r", vmin=-bound, vmax=bound)
            ax.set_title(f"$\\lambda_{{{k + 1}}}$ = {E.eigenvalues[k]:.2f}", fontsize=8)
            ax.axis("off")
    spectrum.set(xscale="log", xlabel="rank k", ylabel="eigenvalue of S = (J + J')/2")
    spectrum.legend(fontsize=6, loc="lower left", frameon=False)
    spectrum.set_title(f"eigenvalues of S at one noisy image, sigma = {SHOWN_SIGMA:g}", fontsize=9)
    figure.savefig(FIGURE, dpi=130)


def main(arguments: list[str]) -> None:
    """Train, measure, and write the table and the figure."""
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if arguments != ["draw"]:
        train()
        assess_all()
    text = table()
    write_bytes(TABLE, text.encode())
    print(text)
    draw()


if __name__ == "__main__":
    main(sys.argv[1:])
