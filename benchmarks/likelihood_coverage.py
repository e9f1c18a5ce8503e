"""How often the intervals of `log_likelihood` and `kl_divergence` hold the truth, for a nominal 95 %.

    python benchmarks/likelihood_coverage.py

Densities that are known: a Gaussian, a mixture, bounded wavelet coefficients (`HolderBall`). Counted are the intervals of
single images, those of the mean over images against the negative entropy, and those of divergences of two Gaussians and of
two mixtures, the latter against a million exact log densities. Defaults of the library, but for the number of images. Writes
likelihood_coverage.json beside this file, in about ten minutes of one core.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.denoisers import mixture_of_gaussians
from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes, analysis
from gahb_theory.metrics.intervals import share_estimate
from gahb_theory.theory import kl_divergence, log_likelihood

TRIALS, IMAGES = 60, 16
D = 4
WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
MEANS = torch.tensor([-0.6, 0.9], dtype=torch.float64)[:, None].expand(2, D)
SPREADS = torch.tensor([0.05, 0.2], dtype=torch.float64)
VARIANCES = torch.arange(1, 10, dtype=torch.float64) ** -1.0


@dataclass(frozen=True)
class Known:
    """A density that is known: its posterior mean, its images (n, seed), their log densities."""

    f: torch.nn.Module
    sample: Callable[[int, int], Tensor]
    log_density: Callable[[Tensor], np.ndarray]


def gaussian(variances: Tensor = VARIANCES) -> Known:
    """Independent pixels of these variances."""
    side = math.isqrt(len(variances))

    def sample(n: int, seed: int) -> Tensor:
        z = torch.randn(n, len(variances), generator=_generator(seed), dtype=torch.float64)
        return (z * variances.sqrt()).reshape(n, 1, side, side)

    def log_density(x: Tensor) -> np.ndarray:
        terms = x.flatten(1).square() / variances + (2 * math.pi * variances).log()
        return -terms.sum(1).numpy() / 2

    mean = torch.zeros(1, 1, side, side, dtype=torch.float64)
    return Known(gt.GaussianDenoiser(mean, torch.diag(variances)), sample, log_density)


def mixture(weights: Tensor = WEIGHTS, means: Tensor = MEANS, spreads: Tensor = SPREADS) -> Known:
    """Two Gaussians of independent pixels, of 2 x 2."""

    def sample(n: int, seed: int) -> Tensor:
        generator = _generator(seed)
        which = (torch.rand(n, generator=generator, dtype=torch.float64) > weights[0]).long()
        z = torch.randn(n, D, generator=generator, dtype=torch.float64)
        return (means[which] + z * spreads[which, None].sqrt()).reshape(n, 1, 2, 2)

    def log_density(x: Tensor) -> np.ndarray:
        away = (x.flatten(1)[:, None] - means).square().sum(2)
        parts = weights.log() - away / (2 * spreads) - D / 2 * (2 * math.pi * spreads).log()
        return np.asarray(torch.logsumexp(parts, 1).numpy())

    covariances = spreads[:, None, None] * torch.eye(D, dtype=torch.float64)
    return Known(mixture_of_gaussians(means.reshape(2, 1, 2, 2), covariances, weights), sample, log_density)


def holder_ball(size: int = 16) -> Known:
    """Uniform wavelet coefficients, averaged over the shifts."""
    ball = gt.HolderBall(size=size)
    f = HolderBallBayes(ball)

    def log_density(x: Tensor) -> np.ndarray:
        shifts = [(i, j) for i in range(f.period) for j in range(f.period)]
        found = []
        for image in x[:, 0]:
            back = torch.stack([image.roll((-i, -j), (0, 1)) for i, j in shifts]) - 0.5
            c = torch.from_numpy(analysis(back.numpy(), ball.wavelet, size // f.period))
            inside = (c.abs() <= f.bounds * (1 + 1e-5) + 1e-7).flatten(1).all(dim=1).double().mean()
            found.append(float(inside.log() - (2 * f.bounds.double()).log().sum()))
        return np.array(found)

    return Known(f, lambda n, seed: ball.sample(n, seed=seed).double(), log_density)


def likelihoods(known: Known, trials: int, images: int, entropy_images: int, **settings: object) -> dict[str, object]:
    """Coverage of single images, and of the mean against the mean log density of many."""
    truth = float(known.log_density(known.sample(entropy_images, 10**6)).mean())
    single, whole, widths, off, share, unknown = 0, 0, [], [], [], 0
    for trial in range(trials):
        x = known.sample(images, trial)
        found = log_likelihood(known.f, x, seed=trial, **settings)  # type: ignore[arg-type]
        exact = known.log_density(x)
        single += int(((found.nats.low <= exact) & (exact <= found.nats.high)).sum())
        whole += bool(found.mean.low <= truth <= found.mean.high)
        half = np.asarray(found.nats.high - found.nats.low) / 2
        if np.isinf(half).any():
            unknown += 1
            continue
        widths.append(half.mean())
        off.append((found.nats.value - exact).mean())
        share.append(float((found.truncation.sum(axis=0) / half).mean()))
    row: dict[str, object] = {
        "images": share_estimate(single, trials * images).to_dict(),
        "mean": share_estimate(whole, trials).to_dict(),
        "share_of_infinite_intervals": unknown / trials,
    }
    if len(off) > 1:
        row |= {
            "half_width_nats": float(np.mean(widths)),
            "bias_nats": float(np.mean(off)),
            "bias_error_nats": float(np.std(off, ddof=1) / len(off) ** 0.5),
            "share_of_truncation": float(np.mean(share)),
        }
    return row


def divergences(p: Known, q: Known, truth: float, trials: int, images: int, **settings: object) -> dict[str, object]:
    """Coverage of KL(p || q)."""
    held, values, widths = 0, [], []
    for trial in range(trials):
        found = kl_divergence(p.f, q.f, p.sample(images, trial), seed=trial, **settings)  # type: ignore[arg-type]
        held += bool(found.nats.low <= truth <= found.nats.high)
        values.append(found.nats.value)
        widths.append((found.nats.high - found.nats.low) / 2)
    return {
        "coverage": share_estimate(held, trials).to_dict(),
        "truth_nats": truth,
        "mean_nats": float(np.mean(values)),
        "error_of_mean_nats": float(np.std(values, ddof=1) / trials**0.5),
        "half_width_nats": float(np.mean(widths)),
    }


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian_divergence(variances: Tensor, used: Tensor) -> float:
    """KL of two Gaussians of independent pixels, in closed form."""
    ratio = variances / used
    return float((ratio - 1 - ratio.log()).sum()) / 2


def mixture_divergence(p: Known, q: Known, samples: int = 10**6) -> float:
    """KL of two mixtures from exact log densities."""
    x = p.sample(samples, 10**6 + 1)
    return float((p.log_density(x) - q.log_density(x)).mean())


def main() -> None:
    """Count, print and write."""
    torch.set_num_threads(1)
    p = mixture()
    q = mixture(torch.tensor([0.5, 0.5]).double(), MEANS + 0.15, torch.tensor([0.07, 0.15]).double())
    used = 0.7 * VARIANCES**1.2
    found = {
        "log_likelihood": {
            "Gaussian, 9 pixels": likelihoods(gaussian(), TRIALS, IMAGES, 10**6),
            "mixture, 4 pixels": likelihoods(p, TRIALS, IMAGES, 10**6),
            "mixture, noise levels .1 to 3": likelihoods(p, TRIALS, IMAGES, 10**6, sigmas=(0.1, 3.0)),
            "HolderBall, 256 pixels, noise levels .0001 to 10": likelihoods(
                holder_ball(), 40, 2, 200, strata=24, sigmas=(1e-4, 10.0)
            ),
            "HolderBall, 256 pixels, noise levels .01 to 10": likelihoods(holder_ball(), 6, 2, 200),
        },
        "kl_divergence": {
            "two Gaussians": divergences(
                gaussian(), gaussian(used), gaussian_divergence(VARIANCES, used), 2 * TRIALS, 64
            ),
            "two mixtures": divergences(p, q, mixture_divergence(p, q), 2 * TRIALS, 64),
            "a mixture and itself": divergences(p, mixture(), 0.0, 4, 64),
        },
    }
    for group, rows in found.items():
        for name, row in rows.items():
            print(group, name, row, flush=True)
    (Path(__file__).parent / "likelihood_coverage.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
