"""Whether certificates of suboptimality are true, and how tight they are, where the posterior mean is known.

    python benchmarks/certificates.py

For each class, noise level and denoiser, `excess_risk` is computed on many independent sets of 64 images of 16 pixels and
compared with the exact E||f - f*||^2. Writes certificates.json beside this file, in half
an hour of one core; what stands there is not computed again.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.denoisers import DiskBayes, mixture_of_gaussians
from gahb_theory.denoisers.exact import HolderBallBayes
from gahb_theory.metrics.intervals import share_estimate
from gahb_theory.theory import excess_risk
from gahb_theory.theory.correctors import LinearCorrector, NetworkCorrector

SIZE, IMAGES, TRIALS, SHARP_TRIALS = 16, 64, 15, 200
SIGMAS = (0.1, 0.3)
Function = Callable[[Tensor, float], Tensor]


def gaussian() -> tuple[Function, Function]:
    """Draws of a Gaussian field, and its posterior mean."""
    field = gt.GaussianField(size=SIZE)
    mean = torch.full((1, 1, SIZE, SIZE), field.mean, dtype=torch.float64)
    best = gt.GaussianDenoiser(mean, field.covariance.matrix())
    return lambda n, seed: field.sample(n, seed=seed, dtype=torch.float64), best


def mixture() -> tuple[Function, Function]:
    """Draws of a mixture of four smooth Gaussians, and its posterior mean."""
    generator = torch.Generator().manual_seed(0)
    covariance = gt.GaussianField(size=SIZE).covariance.matrix()
    means = 0.5 + 0.15 * torch.randn(4, 1, SIZE // 4, SIZE // 4, generator=generator, dtype=torch.float64)
    means = torch.nn.functional.interpolate(means, scale_factor=4, mode="nearest")
    best = mixture_of_gaussians(means, (0.1 * covariance).expand(4, -1, -1))
    root = torch.linalg.cholesky(0.1 * covariance + 1e-12 * torch.eye(SIZE**2, dtype=torch.float64))

    def draw(n: int, seed: int) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        which = torch.randint(4, (n,), generator=g)
        fields = torch.randn(n, SIZE**2, generator=g, dtype=torch.float64) @ root.mT
        return means[which] + fields.reshape(n, 1, SIZE, SIZE)

    return draw, best


def disks() -> tuple[Function, Function]:
    """Draws of disks, and their posterior mean."""
    images = gt.Disks(size=SIZE)
    return lambda n, seed: images.sample(n, seed=seed, dtype=torch.float64), DiskBayes(images, samples=1024)


def holder_ball() -> tuple[Function, Function]:
    """Draws of `HolderBall`, and their posterior mean, coefficient by coefficient."""
    ball = gt.HolderBall(alpha=1.5, size=SIZE)
    return lambda n, seed: ball.sample(n, seed=seed, dtype=torch.float64), HolderBallBayes(ball)


CLASSES: dict[str, Callable[[], tuple[Function, Function]]] = {
    "Gaussian field": gaussian,
    "mixture": mixture,
    "Hoelder ball": holder_ball,
    "disks": disks,
}
DENOISERS: dict[str, Function] = {
    "soft thresholding": gt.ShrinkageDenoiser(gt.Wavelet("db2"), gt.Soft(1.5)),
    "local mean": lambda y, sigma: torch.nn.functional.avg_pool2d(y, 3, 1, 1, count_include_pad=False),
}


SHARP, REGRESSIONS = "soft thresholding, with the posterior mean as a rival", (LinearCorrector(), NetworkCorrector())


@lru_cache(maxsize=1)
def optimum(draw: Function, best: Function, sigma: float) -> tuple[Tensor, Tensor]:
    """Noisy images, and their posterior means."""
    y = gt.add_noise(torch.cat([draw(500, 10**6 + k) for k in range(2)]), sigma, seed=10**6)
    return y, torch.cat([best(p, sigma) for p in y.split(100)])


def compare(draw: Function, best: Function, f: Function, sigma: float, sharp: bool) -> dict[str, float]:
    """The exact excess, the mean certificate, and how often the certificate was not above the excess.

    Where the posterior mean is a rival, the certificate is the excess but for chance, so that its coverage is put to the test.
    """
    y, centres = optimum(draw, best, sigma)
    given = centres if f is best else torch.cat([f(p, sigma) for p in y.split(100)])
    exact = gt.metrics.mean_estimate((given - centres).square().sum((1, 2, 3)).numpy())
    trials = SHARP_TRIALS if sharp else TRIALS
    rivals, correctors = ([best], ()) if sharp else ([], REGRESSIONS)
    found = [
        excess_risk(f, draw(IMAGES, trial).float(), sigma, rivals, seed=trial, correctors=correctors)
        for trial in range(trials)
    ]
    return {
        "exact": float(exact.value),
        "exact_standard_error": float(exact.standard_error),
        "certified": float(np.mean([e.value for e in found])),
        "certified_low": float(np.mean([e.low for e in found])),
        "share_true": float(np.mean([e.low <= exact.value for e in found])),
        "trials": trials,
    }


def main() -> None:
    """Print one line for each case and write it; then the coverage over all of them."""
    torch.set_num_threads(1)
    place = Path(__file__).with_suffix(".json")
    rows = json.loads(place.read_text()) if place.exists() else {}
    for name, make in CLASSES.items():
        draw, best = make()
        for sigma in SIGMAS:
            for label, f in (
                DENOISERS | {"the posterior mean itself": best, SHARP: DENOISERS["soft thresholding"]}
            ).items():
                if (label not in DENOISERS and name == "disks") or (label == SHARP and name == "Hoelder ball"):
                    continue  # the posterior mean takes hours
                case = f"{name}, sigma = {sigma:g}, {label}"
                if case in rows:
                    continue
                found = compare(draw, best, f, sigma, label == SHARP)
                row = rows[case] = {key: round(value, 4) for key, value in found.items()}
                place.write_text(json.dumps(rows, indent=2) + "\n")
                print(f"{name:16}{sigma:5g} {label:28}", row, flush=True)
    for kind, chosen in (
        ("all", rows),
        ("posterior mean as a rival", {case: row for case, row in rows.items() if case.endswith(SHARP)}),
    ):
        total = sum(row["trials"] for row in chosen.values())
        true = sum(round(row["share_true"] * row["trials"]) for row in chosen.values())
        print(f"certificates not above the exact excess, {kind}: {share_estimate(true, total)}")


if __name__ == "__main__":
    main()
