"""Where the paths of two denoisers from the same noise part.

At high noise two denoisers of one distribution estimate the same smooth image; as the noise falls, details are decided. If
both have learned the distribution the paths stay together to the end; if they have memorised different images they part at
some noise level (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, figures 2 and 8; figure 13 with the deterministic
sampler). Compared are the estimates f(y_t) and g(y'_t) at equal noise levels,

    distance_sigma = ||f(y) - g(y')|| / sqrt(d) ,      cosine_sigma = <f(y), g(y')> / (||f(y)|| ||g(y')||) ,

the cosine by default without the mean intensities, which all images share. Two Wiener filters of the same few statistics stay
together as well: compare with them before an agreement is called learning.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.similarity import Vectors, centred_unit_vectors, vectors_of
from gahb_theory.precision import wide
from gahb_theory.sampling.coarse_to_fine import Samples, Trajectory
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Parting", "compare_paths"]

LEVELS = 32


@dataclass(frozen=True, eq=False, repr=False)
class Parting(Result):
    """How far apart n pairs of paths are at m noise levels; print it, `plot` it, `save` it.

    Parameters
    ----------
    sigmas
        Noise levels, descending, shape (m,).
    distance
        Root mean square difference of the estimates, shape (m, n).
    cosine
        Their cosine, shape (m, n).
    noisy_distance
        Root mean square difference of y and y', shape (m, n); 0 at the start.
    below
        The cosine that counts as parted.
    parted_at
        The largest level from which on the cosine stays below that, shape (n,); NaN for paths that end together.
    """

    sigmas: Float[Tensor, " m"]
    distance: Float[Tensor, "m n"]
    cosine: Float[Tensor, "m n"]
    noisy_distance: Float[Tensor, "m n"]
    below: float
    parted_at: Float[Tensor, " n"]

    @property
    def share_parted(self) -> float:
        """Share of the pairs that end apart."""
        return float((~self.parted_at.isnan()).double().mean())

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the cosine of each pair and their median against the noise level, and return the axes."""
        from gahb_theory.report.draw_paths import draw_parting
        from gahb_theory.report.figures import axes_or_new

        return draw_parting(self, axes_or_new(ax))


def compare_paths(
    a: Samples,
    b: Samples,
    *,
    sigmas: tuple[float, ...] | None = None,
    below: float = 0.5,
    vectors: Vectors = centred_unit_vectors,
) -> Parting:
    """How far the paths of two denoisers from the same noise are apart, over the noise level.

    Parameters
    ----------
    a, b
        What `generate`, `reconstruct` or `probability_flow` return with the same seed and start, and with `every`.
    sigmas
        Noise levels to compare at; of each path the first kept step at or below a level counts, so that keep every step
        where that matters. None is 32 levels of equal ratio between the first and the last that all paths have.
    below
        The cosine below which two paths have parted, between -1 and 1.
    vectors
        The convention of the cosine: `centred_unit_vectors`, or `unit_vectors` as in the paper.

    Raises
    ------
    ValueError
        If a trajectory is missing, or if the paths do not start from the same noise.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers import EmpiricalBayes
    >>> from gahb_theory.sampling import probability_flow
    >>> images = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> f, g = EmpiricalBayes(images[:5]), EmpiricalBayes(images[5:])  # two that have memorised different images
    >>> a, b = (probability_flow(h, (4, 1, 8, 8), every=1) for h in (f, g))
    >>> compare_paths(a, a).share_parted, compare_paths(a, b).share_parted
    (0.0, 1.0)
    """
    below = validate.number(below, "below")
    if not -1 < below < 1:
        raise ValueError(f"below is a cosine between -1 and 1, got {below:g}")
    ways = _trajectories(a, b)
    levels = _common_levels(*ways) if sigmas is None else torch.tensor(sorted(validate.levels(sigmas), reverse=True))
    (f_y, y), (g_y, other) = (_at(way, levels) for way in ways)
    rows = [vectors_of(vectors, e.flatten(0, 1)).reshape(*e.shape[:2], -1) for e in (f_y, g_y)]
    cosine = (rows[0] * rows[1]).sum(dim=-1)
    apart = (cosine < below).flip(0).cummin(dim=0).values.flip(0)  # at this level and at all lower ones
    first = levels.to(cosine)[apart.int().argmax(dim=0)]
    parted = torch.where(apart.any(dim=0), first, torch.nan)
    return Parting(levels, _rms(f_y - g_y), cosine, _rms(y - other), below, parted)


def _trajectories(a: Samples, b: Samples) -> tuple[Trajectory, Trajectory]:
    for name, samples in (("a", a), ("b", b)):
        if not isinstance(samples, Samples):
            raise TypeError(f"{name} must be what generate returns, got {type(samples).__name__}")
    if a.trajectory is None or b.trajectory is None:
        raise ValueError("the samples have no trajectory; draw them with every=1")
    one, two = a.trajectory.noisy[0], b.trajectory.noisy[0]
    if one.shape != two.shape:
        raise ValueError(f"a and b must hold as many images of one shape, got {tuple(one.shape)}, {tuple(two.shape)}")
    if not torch.allclose(wide(one), wide(two).to(wide(one)), rtol=1e-3, atol=1e-3):
        raise ValueError("the paths of a and b start from different noise; draw both with the same seed and sigma_0")
    return a.trajectory, b.trajectory


def _common_levels(one: Trajectory, two: Trajectory) -> Tensor:
    """Levels of equal ratio from the lowest first level to the highest last level of all paths."""
    first = min(float(way.sigma[0].min()) for way in (one, two))
    last = max(float(way.sigma[-1].max()) for way in (one, two))
    if not 0 < last < first:
        raise ValueError(f"the paths have no noise levels in common, from {first:g} down to {last:g}; give sigmas")
    return torch.logspace(torch.tensor(first).log10(), torch.tensor(last).log10(), LEVELS, dtype=torch.float64)


def _at(way: Trajectory, levels: Tensor) -> tuple[Tensor, Tensor]:
    """f(y) and y of each path at its first kept step at or below each level, else at its last; shape (m, n, c, h, w)."""
    reached = way.sigma[None] <= levels[:, None, None].to(way.sigma) * (1 + 1e-5)  # (m, steps, n)
    last = len(way.steps) - 1
    step = torch.where(reached.any(dim=1), reached.int().argmax(dim=1), last)
    path = torch.arange(way.sigma.shape[1], device=step.device)
    return wide(way.denoised[step, path]), wide(way.noisy[step, path])


def _rms(x: Tensor) -> Tensor:
    return x.square().mean(dim=(-3, -2, -1)).sqrt()
