"""Whether certificates of suboptimality are true, and how tight they are, where the posterior mean is known.

    python benchmarks/certificates.py

For each class, noise level and denoiser, `excess_risk` is computed on many independent sets of 64 images of 16 pixels and
compared with the exact E||f - f*||^2. Writes certificates.json beside this file, in a quarter of
an hour of one core; what stands there is not computed again.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.denoisers import DiskBayes, mixture_of_gaussians
from gahb_theory.images.holder_ball import _gains, synthesis
from gahb_theory.theory import excess_risk

SIZE, IMAGES, TRIALS = 16, 64, 15
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
    """Draws of the series of `HolderBall` before its random shift, and their posterior mean, coefficient by coefficient."""
    ball = gt.HolderBall(alpha=1.5, size=SIZE)
    bounds, _ = _gains(ball.alpha, SIZE, ball.wavelet)
    atoms = torch.from_numpy(synthesis(np.eye(SIZE**2).reshape(-1, SIZE, SIZE), ball.wavelet)).flatten(1)

    def draw(n: int, seed: int) -> Tensor:
        c = ball.scene(n, seed=seed, dtype=torch.float64).coefficients.flatten(1)
        return (0.5 + c @ atoms).reshape(n, 1, SIZE, SIZE)

    def best(y: Tensor, sigma: float) -> Tensor:
        c = (y.double() - 0.5).flatten(1) @ atoms.mT
        a, b = ((end * bounds.flatten() - c) / sigma for end in (-1, 1))
        mass = (torch.special.ndtr(b) - torch.special.ndtr(a)).clamp(min=1e-300)
        density = (torch.exp(-a.square() / 2) - torch.exp(-b.square() / 2)) / math.sqrt(2 * math.pi)
        means = torch.where(mass > 1e-12, c + sigma * density / mass, c).clamp(-bounds.flatten(), bounds.flatten())
        return (0.5 + means @ atoms).reshape(y.shape).to(y)

    return draw, best


CLASSES: dict[str, Callable[[], tuple[Function, Function]]] = {
    "Gaussian field": gaussian,
    "mixture": mixture,
    "disks": disks,
    "Hoelder ball": holder_ball,
}
DENOISERS: dict[str, Function] = {
    "soft thresholding": gt.ShrinkageDenoiser(gt.Wavelet("db2"), gt.Soft(1.5)),
    "local mean": lambda y, sigma: torch.nn.functional.avg_pool2d(y, 3, 1, 1, count_include_pad=False),
}


def compare(draw: Function, best: Function, f: Function, sigma: float, trials: int = TRIALS) -> dict[str, float]:
    """The exact excess, the mean certificate, and how often the certificate was not above the excess."""
    x = torch.cat([draw(500, 10**6 + k) for k in range(2)])
    y = gt.add_noise(x, sigma, seed=10**6)
    apart = torch.cat([f(p, sigma) - best(p, sigma) for p in y.split(100)])
    exact = gt.metrics.mean_estimate(apart.square().sum((1, 2, 3)).numpy())
    found = [excess_risk(f, draw(IMAGES, trial).float(), sigma, seed=trial) for trial in range(trials)]
    return {
        "exact": float(exact.value),
        "exact_standard_error": float(exact.standard_error),
        "certified": float(np.mean([e.value for e in found])),
        "certified_low": float(np.mean([e.low for e in found])),
        "share_true": float(np.mean([e.low <= exact.value for e in found])),
        "trials": trials,
    }


def main() -> None:
    """Print one line for each case and write it."""
    torch.set_num_threads(1)
    place = Path(__file__).with_suffix(".json")
    rows = json.loads(place.read_text()) if place.exists() else {}
    for name, make in CLASSES.items():
        draw, best = make()
        for sigma in SIGMAS:
            for label, f in (DENOISERS | {"the posterior mean itself": best}).items():
                if label == "the posterior mean itself" and name == "disks":
                    continue  # hours
                case = f"{name}, sigma = {sigma:g}, {label}"
                if case in rows:
                    continue
                row = rows[case] = {key: round(value, 4) for key, value in compare(draw, best, f, sigma).items()}
                place.write_text(json.dumps(rows, indent=2) + "\n")
                print(f"{name:16}{sigma:5g} {label:28}", row, flush=True)


if __name__ == "__main__":
    main()
