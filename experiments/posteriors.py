"""How far samples with linear measurements are from the exact posterior: Gaussian and mixture priors, optimal denoisers.

    python experiments/posteriors.py

The denoiser is optimal, so that every error is that of the algorithm of Kadkhodaie and Simoncelli (2021). Computed: mean and
covariance it draws, exactly (no sampling), against those of p(x | m); ranks of the truth among samples, which are uniform for
a calibrated sampler (Talts et al. 2018); weights of the modes of a mixture. In grey: exact posterior samples, and samples that
ignore the measurements. Seven minutes on one core. Results: results/posteriors/.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import gahb_theory as gt
from gahb_theory.denoisers import mixture_of_gaussians
from gahb_theory.metrics.intervals import share_estimate
from gahb_theory.randomness import Component, normals, uniforms
from gahb_theory.runs import write_json
from gahb_theory.sampling import BlockMeans, CircularBlur, Inpainting, Projections, growing_step, reconstruct
from gahb_theory.sampling.exact_moments import Moments, ascent_moments, posterior_moments

OUT = Path(__file__).parent / "results" / "posteriors"
SIZE, SEED = 8, 2**64 + 11
SHAPE = (1, SIZE, SIZE)
D = SIZE * SIZE
TRUTHS = 2
"""Images whose measurements are given, in the table of moments."""
STEPS: dict[str, tuple[Callable[[int], float], float]] = {
    "published: h grows from .01, beta = .01": (growing_step(0.01), 0.01),
    "h = .01, beta = .01": (lambda t: 0.01, 0.01),
    "h = .02, beta = .1": (lambda t: 0.02, 0.1),
    "h = .1, beta = .1": (lambda t: 0.1, 0.1),
    "h = .02, beta = .5": (lambda t: 0.02, 0.5),
    "h = .02, beta = 1 (no noise)": (lambda t: 0.02, 1.0),
}
SAMPLED = ("published: h grows from .01, beta = .01", "h = .02, beta = .1")
RANKS, PAIRS = 19, 300


def prior() -> Moments:
    """Mean and covariance of patches of photographs, with a floor of 1e-4 of the largest variance."""
    x = gt.Photographs(size=SIZE).sample(4000, seed=SEED).double().flatten(1)
    c = x.mT.cov()
    return Moments(x.mean(0), c + 1e-4 * torch.linalg.eigvalsh(c)[-1] * torch.eye(D, dtype=c.dtype))


def measurements() -> dict[str, Any]:
    """Five kinds."""
    scattered = uniforms(1, D, seed=SEED, component=Component.MEASUREMENT).reshape(1, *SHAPE) < 0.3
    hole = torch.ones(1, *SHAPE, dtype=torch.bool)
    hole[..., 2:6, 2:6] = False
    return {
        "a hole of 4 x 4 pixels": Inpainting(hole),
        "30 % of the pixels": Inpainting(scattered),
        "means of 2 x 2 pixels": BlockMeans(2),
        "blur of 1 pixel, circular": CircularBlur.gaussian(0.75, floor=0.05),
        "16 random projections": Projections.random(SHAPE, 16, seed=SEED),
    }


def rows_of(measurement: Any) -> torch.Tensor:
    """What is measured as orthonormal rows: a basis of the range of A^+ A."""
    inverse = gt.sampling.pseudo_inverse(measurement, torch.zeros(1, *SHAPE, dtype=torch.float64))
    p = inverse(measurement.A(torch.eye(D, dtype=torch.float64).reshape(D, *SHAPE))).flatten(1)
    values, vectors = torch.linalg.eigh((p + p.mT) / 2)
    return vectors[:, values > 0.5].mT


def truths(given: Moments, n: int, part: int) -> torch.Tensor:
    """Images drawn from the prior, (n, d)."""
    z = normals(n, D, seed=SEED, component=Component.PRIOR, part=part, dtype=torch.float64)
    return given.mean + z @ torch.linalg.cholesky(given.covariance).mT


def whitening(exact: Moments, a: torch.Tensor) -> torch.Tensor:
    """Rows that make the posterior a standard normal distribution of the directions that are not measured."""
    free = torch.linalg.svd(a).Vh[len(a) :]
    return torch.linalg.solve_triangular(torch.linalg.cholesky(free @ exact.covariance @ free.mT), free, upper=False)


def moments_table(given: Moments) -> dict[str, Any]:
    """Per measurement and constants: error of the mean in posterior deviations, share of the variance, nats."""
    found: dict[str, Any] = {}
    x = truths(given, TRUTHS, 0)
    for name, measurement in measurements().items():
        a = rows_of(measurement)
        m = measurement.A(x.reshape(-1, *SHAPE))
        found[name] = {"measured": len(a), "of": D, "constants": {}}
        for label, (step, beta) in STEPS.items():
            rows = []
            for k in range(TRUTHS):
                exact = posterior_moments(given, a, a @ x[k])
                drawn = ascent_moments(given, m[k : k + 1], measurement, shape=SHAPE, step=step, beta=beta)
                rows.append(against(drawn, exact, a))
            found[name]["constants"][label] = {key: sum(row[key] for row in rows) / TRUTHS for key in rows[0]}
            print(name, label, found[name]["constants"][label], flush=True)
        exact = posterior_moments(given, a, a @ x[0])
        found[name]["ignoring the measurements"] = against(given, exact, a)
    return found


def against(drawn: Moments, exact: Moments, a: torch.Tensor) -> dict[str, float]:
    """The errors of a Gaussian against the exact posterior, in the directions that are not measured."""
    white = whitening(exact, a)
    shift = white @ (drawn.mean - exact.mean)
    spread = white @ drawn.covariance @ white.mT
    values = torch.linalg.eigvalsh(spread).clamp(min=1e-12)
    free = torch.linalg.svd(a).Vh[len(a) :]
    return {
        "mean_error": float(shift.square().mean().sqrt()),
        "variance_share": float(
            (free @ drawn.covariance @ free.mT).trace() / (free @ exact.covariance @ free.mT).trace()
        ),
        "least_variance": float(values[0]),
        "largest_variance": float(values[-1]),
        "nats_per_direction": float((values - values.log() - 1 + shift.square().sum() / len(values)).mean() / 2),
    }  # the Kullback-Leibler divergence of what is drawn from the posterior


def calibration(given: Moments) -> dict[str, Any]:
    """Ranks of the truth among samples given its measurements.

    Ranks of a fixed statistic are uniform for samples of the prior, too (Modrak et al. 2023): the last one depends on them.
    """
    hole = measurements()["a hole of 4 x 4 pixels"]
    a = rows_of(hole)
    x = truths(given, PAIRS, 1)
    m = hole.A(x.reshape(-1, *SHAPE))
    f = gt.GaussianDenoiser(given.mean.reshape(1, *SHAPE), given.covariance)
    exact = torch.stack([posterior_moments(given, a, a @ row).mean for row in x])
    spread = posterior_moments(given, a, a @ x[0]).covariance
    values, vectors = torch.linalg.eigh(spread)
    root = vectors * values.clamp(min=0).sqrt()
    z = normals(PAIRS * RANKS, D, seed=SEED, component=Component.POSTERIOR, dtype=torch.float64)
    drawn = {"exact posterior samples": exact.repeat_interleave(RANKS, 0) + z @ root.mT}
    drawn["prior samples, the measurements ignored"] = truths(given, PAIRS * RANKS, 2)
    for label in SAMPLED:
        step, beta = STEPS[label]
        samples = reconstruct(f, m.repeat_interleave(RANKS, 0), hole, step=step, beta=beta, seed=SEED, batch_size=1500)
        drawn[label] = samples.images.flatten(1)
    inside = (~hole.mask).flatten()
    towards = (exact - given.mean) * inside  # depends on the measurements, so that ignoring them shows in its ranks
    statistics: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "mean of the hole": lambda y: y[..., inside].mean(-1),
        "a pixel of the hole": lambda y: y[..., 3 * SIZE + 3],
        "contrast of the hole": lambda y: y[..., inside].var(-1),
        "along the posterior mean": lambda y: (y * towards.reshape(PAIRS, *[1] * (y.ndim - 2), D)).sum(-1),
    }
    found: dict[str, Any] = {"pairs": PAIRS, "samples": RANKS, "statistics": {}}
    for name, statistic in statistics.items():
        found["statistics"][name] = {
            label: ranks(statistic(x), statistic(y.reshape(PAIRS, RANKS, D))) for label, y in drawn.items()
        }
        for label, row in found["statistics"][name].items():
            print(name, label, row["chi2_p"], row["coverage_90"], flush=True)
    return found


def ranks(truth: torch.Tensor, samples: torch.Tensor) -> dict[str, Any]:
    """The rank histogram, the chi-square test of its uniformity, and how often the truth lies among the middle 90 %."""
    from scipy.stats import chisquare

    rank = (samples < truth[:, None]).sum(1)
    counts = torch.bincount(rank, minlength=RANKS + 1)
    middle = (rank >= 1) & (rank <= RANKS - 1)  # 18 of 20 equally likely ranks
    return {
        "counts": counts.tolist(),
        "chi2_p": float(chisquare(counts.numpy()).pvalue),
        "coverage_90": share_estimate(int(middle.sum()), len(middle)).to_dict(),
    }


def mode_weights() -> dict[str, Any]:
    """Two modes, part of the pixels measured: the posterior weight of the second, exact and drawn."""
    shape, n = (1, 2, 4), 1000
    means = torch.tensor([[0.2] * 8, [0.8, 0.6, 0.7, 0.7, 0.3, 0.9, 0.6, 0.8]], dtype=torch.float64).reshape(2, *shape)
    weights, s = torch.tensor([0.4, 0.6], dtype=torch.float64), 0.02
    f = mixture_of_gaussians(means, (s * torch.eye(8, dtype=torch.float64)).expand(2, 8, 8), weights)
    known = Inpainting(torch.tensor([True, True] + [False] * 6).reshape(1, *shape))
    rows = []
    for u in (0.3, 0.42, 0.46, 0.5, 0.6):
        m = torch.full((1, 2), u, dtype=torch.float64)
        away = (m - means.flatten(1)[:, :2]).square().sum(1)
        exact = float(torch.softmax(weights.log() - away / (2 * s), 0)[1])
        row: dict[str, Any] = {"measured": u, "exact": exact, "prior": 0.6, "drawn": {}}
        for label in SAMPLED:
            step, beta = STEPS[label]
            samples = reconstruct(f, m.expand(n, 2), known, step=step, beta=beta, seed=SEED, batch_size=n)
            second = torch.cdist(samples.images.flatten(1)[:, 2:], means.flatten(1)[:, 2:]).argmin(1) == 1
            row["drawn"][label] = share_estimate(int(second.sum()), n).to_dict()
        rows.append(row)
        print(u, exact, {k: v["value"] for k, v in row["drawn"].items()}, flush=True)
    return {"samples": n, "rows": rows}


def draw(found: dict[str, Any]) -> None:
    """Rank histograms and mode weights."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ranked = found["calibration"]["statistics"]["a pixel of the hole"]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    colours = dict(zip(SAMPLED, ("C1", "C0"), strict=True))
    expected = PAIRS / (RANKS + 1)
    for ax, label in zip(axes, SAMPLED, strict=False):
        ax.step(
            range(RANKS + 1),
            ranked["exact posterior samples"]["counts"],
            where="mid",
            color="0.6",
            label="exact posterior",
        )
        ax.step(range(RANKS + 1), ranked[label]["counts"], where="mid", color=colours[label], label=label)
        ax.axhline(expected, color="black", lw=1, ls=":", label="uniform")
        ax.set(xlabel=f"rank of the truth among {RANKS} samples", ylabel=f"of {PAIRS} images", ylim=(0, None))
        ax.legend(fontsize=8)
    top = max(ax.get_ylim()[1] for ax in axes[:2])
    for ax in axes[:2]:
        ax.set_ylim(0, top)
    rows = found["mixture"]["rows"]
    at = [row["exact"] for row in rows]
    axes[2].plot((0, 1), (0, 1), color="black", lw=1, ls=":", label="exact")
    axes[2].axhline(0.6, color="0.6", lw=1, label="prior, the measurements ignored")
    for label in SAMPLED:
        ends = [row["drawn"][label] for row in rows]
        value = [e["value"] for e in ends]
        error = [[e["value"] - e["low"] for e in ends], [e["high"] - e["value"] for e in ends]]
        axes[2].errorbar(at, value, yerr=error, marker="o", capsize=3, color=colours[label], label=label)
    axes[2].set(xlabel="posterior weight of the second mode", ylabel="share of samples in it", xlim=(0, 1), ylim=(0, 1))
    axes[2].legend(fontsize=8)
    figure.savefig(OUT / "posteriors.png", dpi=110)


def main() -> None:
    """Measure, write and draw."""
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    given = prior()
    found = {"mixture": mode_weights(), "calibration": calibration(given), "moments": moments_table(given)}
    write_json(OUT / "posteriors.json", found)
    draw(found)


if __name__ == "__main__":
    main()
