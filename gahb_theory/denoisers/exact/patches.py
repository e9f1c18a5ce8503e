"""Patches: what a local machine sees around a pixel, and how large they are at a noise level.

A machine whose pixel i depends on the patch y_P(i) alone, as a posterior mean of its middle, has the Jacobian

    d f_i / d y_j = sigma^-2 Cov( x_i, x_j | y_P(i) )        for j in P(i), 0 elsewhere,

the row of the covariance of the patch that belongs to its middle. Unlike that of a posterior mean of the whole image it
is not symmetric: two neighbours look at different patches.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["BUDGET", "Boundary", "PatchMachine", "PatchSchedule", "calibrate_patches"]

BUDGET = 2**28
Boundary = Literal["zero", "circular"]


@dataclass(frozen=True)
class PatchSchedule:
    """The side of the patch as a function of the noise level: that of the nearest level, in the logarithm.

    Parameters
    ----------
    sigmas
        Noise levels, above 0.
    sizes
        Odd side of the patch at each.
    """

    sigmas: tuple[float, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmas", validate.levels(self.sigmas))
        object.__setattr__(self, "sizes", odd_sides(self.sizes))
        if len(self.sigmas) != len(self.sizes):
            raise ValueError(f"sigmas and sizes must pair positive levels with sides, got {self.sigmas}, {self.sizes}")

    def __call__(self, sigma: float) -> int:
        """The side of the patch at one noise level."""
        at = math.log(validate.sigma_level(sigma))
        return self.sizes[min(range(len(self.sizes)), key=lambda i: abs(math.log(self.sigmas[i]) - at))]


class PatchMachine(DenoiserModule):
    """What the local machines have in common: a set of images, a schedule of patches, and what lies beyond the image."""

    images: Tensor

    @takes_arrays
    def __init__(
        self,
        images: Float[Tensor, "N c h w"],
        patch: int | PatchSchedule,
        boundary: Boundary = "zero",
        budget: int = BUDGET,
    ) -> None:
        super().__init__()
        validate.images(images)
        validate.one_of(boundary, "boundary", ("zero", "circular"))
        self.schedule = (
            patch if isinstance(patch, PatchSchedule) else PatchSchedule((1.0,), (validate.odd(patch, "patch"),))
        )
        if max(self.schedule.sizes) > 2 * min(images.shape[2:]) - 1:
            raise ValueError(f"patches of side {max(self.schedule.sizes)} are too large for {tuple(images.shape[2:])}")
        self.boundary, self.budget = boundary, validate.integer(budget, "budget", 2**10)
        self.register_buffer("images", images.detach())
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The constrained posterior mean of each image."""
        fitting(y, self.images)
        if len(self.schedule.sizes) == 1:
            return self._at(y, sigma, self.schedule.sizes[0])
        if len(sigma) == 1:
            return self._at(y, sigma, self.schedule(float(sigma[0])))
        sizes = [self.schedule(s) for s in sigma.flatten().tolist()]
        result = torch.empty_like(y)
        for size in sorted(set(sizes)):
            mine = torch.tensor([i for i, other in enumerate(sizes) if other == size], device=y.device)
            result = result.index_copy(0, mine, self._at(y[mine], sigma[mine], size))
        return result

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J at one noisy image, in closed form: row i is the covariance of pixel i and its patch, over sigma^2."""
        fitting(validate.one_image(y, "y"), self.images)
        level = validate.sigma_level(sigma)
        return self._jacobian(y, level, self.schedule(level)).to(y.dtype)

    def pad(self, x: Float[Tensor, "n c h w"], size: int, value: float = 0.0) -> Float[Tensor, "n c H W"]:
        """Images with what patches of side `size` see beyond them: the other side, or the value."""
        r = size // 2
        if self.boundary == "circular":
            return nn.functional.pad(x, (r, r, r, r), mode="circular")
        return nn.functional.pad(x, (r, r, r, r), value=value)

    def _at(self, y: Tensor, sigma: Tensor, size: int) -> Tensor:
        raise NotImplementedError

    def _jacobian(self, y: Tensor, sigma: float, size: int) -> Tensor:
        raise NotImplementedError


def calibrate_patches(
    f: Callable[[Tensor, float | Tensor], Tensor],
    machine: Callable[[int], DenoiserModule],
    y: Callable[[float], Tensor],
    sigmas: Sequence[float],
    sizes: Sequence[int],
) -> PatchSchedule:
    """The side of the patch at which a local machine comes nearest to a denoiser, for each noise level.

    Parameters
    ----------
    f
        The denoiser to be explained, such as a trained network.
    machine
        Makes the local machine of a given side.
    y
        Noisy images at a given noise level.
    sigmas, sizes
        Noise levels, and the sides to try at each.

    Examples
    --------
    >>> from gahb_theory.denoisers.exact.local import PatchBayes
    >>> from gahb_theory.images import CAlpha
    >>> from gahb_theory.randomness import add_noise
    >>> x = CAlpha(size=16).sample(6)
    >>> make = lambda side: PatchBayes(x[:4], side)
    >>> calibrate_patches(make(5), make, lambda s: add_noise(x[4:], s), [0.1, 0.5], [3, 5, 7]).sizes
    (5, 5)
    """
    chosen = []
    levels, sides = validate.levels(sigmas), odd_sides(sizes)
    validate.function(machine, "machine", "machine(side)")
    validate.function(y, "y", "y(sigma)")
    with torch.no_grad():
        for sigma in levels:
            noisy = validate.images(y(sigma), "what y returned")
            target = validate.denoised(f, noisy, sigma)
            errors = {
                side: float((validate.denoised(machine(side), noisy, sigma, "the machine") - target).square().mean())
                for side in sides
            }
            chosen.append(min(errors, key=lambda side: errors[side]))
    return PatchSchedule(levels, tuple(chosen))


def odd_sides(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return sides of patches as integers, at least one."""
    return tuple(validate.odd(size, "each of sizes") for size in validate.integers(sizes, "sizes", 1))
