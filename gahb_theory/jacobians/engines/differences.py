"""The Jacobian of a function that torch cannot differentiate, by central differences.

    J v = (f(y + h v) - f(y - h v)) / 2h + O(h^2),        error = truncation (h^2) + rounding (eps / h) .

The step h = eps^(1/3) ||y|| / ||v|| balances the two for a smooth f. The truncation is measured by comparing the steps h
and 2h (Richardson 1911): it is a third of their difference. J^T u cannot be had from values of f, so that the first call
of it costs the whole matrix, two evaluations of f for each pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.engines.autograd import default_chunk

__all__ = ["DifferenceProducts", "Values"]


class DifferenceProducts:
    """J v by central differences, and J^T u from the matrix they give.

    Parameters
    ----------
    f
        Any function of a batch of images.
    y
        One image.
    step
        Length of the step, in the units of y.

    Attributes
    ----------
    error
        The largest estimate so far of the error of a product, ||error|| / ||J v||.
    """

    def __init__(self, f: Callable[[Tensor], Tensor], y: Tensor, step: float) -> None:
        self._f, self._y, self._step = f, y, step
        self._matrix: Tensor | None = None
        self.error = 0.0

    def push(self, v: Tensor) -> Tensor:
        """J v for `v` of shape (batch, *input shape)."""
        lengths = v.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        unit = torch.where(lengths > 0, v / lengths, 0)
        near, far = (self._slope(unit, factor * self._step) for factor in (1, 2))
        sizes = near.flatten(1).norm(dim=1)
        errors = (far - near).flatten(1).norm(dim=1) / 3
        known = sizes > 0
        if bool(known.any()):
            self.error = max(self.error, float((errors[known] / sizes[known]).max()))
        return near * lengths.reshape(-1, *[1] * (near.ndim - 1))

    def pull(self, u: Tensor) -> Tensor:
        """J^T u for `u` of shape (batch, *output shape); the first call forms the matrix."""
        if self._matrix is None:
            columns, chunk = [], default_chunk(self._y)
            for numbers in torch.split(torch.arange(self._y.numel(), device=self._y.device), chunk):
                unit = torch.zeros(len(numbers), self._y.numel(), dtype=self._y.dtype, device=self._y.device)
                unit[torch.arange(len(numbers), device=self._y.device), numbers] = 1
                columns.append(self.push(unit.reshape(-1, *self._y.shape[1:])).flatten(1))
            self._matrix = torch.cat(columns)
        return (u.flatten(1) @ self._matrix.mT).reshape(-1, *self._y.shape[1:])

    def _slope(self, unit: Tensor, step: float) -> Tensor:
        ahead, behind = self._f(self._y + step * unit), self._f(self._y - step * unit)
        return (ahead - behind) / (2 * step)


@dataclass(frozen=True)
class Values:
    """F at one noise level, as a function of images of which each has its output."""

    f: Denoiser
    sigma: float

    def __call__(self, x: Tensor) -> Tensor:
        """f(x, sigma) without a gradient, shape (batch, ...)."""
        validate.evaluation_mode(self.f)
        with torch.no_grad():
            output = self.f(x.clone(), self.sigma)
        if not isinstance(output, Tensor):
            raise TypeError(f"f must return a torch tensor, got {type(output).__name__}; adapt_arrays takes arrays")
        if not output.is_floating_point():
            raise TypeError(f"f must return floating-point numbers, got {output.dtype}; differences of integers round")
        if output.ndim == 0 or len(output) != len(x):
            raise ValueError(f"f must return one output for each of {len(x)} images, got shape {tuple(output.shape)}")
        return validate.finite(output.to(x), "f(y, sigma)")
