"""The Jacobian of a function that torch cannot differentiate, by central differences.

    J v = (f(y + h v) - f(y - h v)) / 2h + O(h^2),        error = truncation (h^2) + rounding (eps / h) .

The step h = eps^(1/3) ||y|| / ||v|| balances the two for a smooth f. The truncation is measured by comparing the steps h
and 2h (Richardson 1911): it is a third of their difference. J^T u cannot be had from values of f, so that the first call
of it costs the whole matrix, two evaluations of f for each pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.arithmetic import full_precision
from gahb_theory.jacobians.difference_check import refuse_memory
from gahb_theory.jacobians.engines.autograd import default_chunk
from gahb_theory.jacobians.operator import Jacobian

__all__ = ["DifferenceProducts", "difference_jacobian"]


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


@full_precision
def difference_jacobian(
    f: Denoiser,
    y: Float[Tensor, "1 c h w"],
    sigma: float | Tensor,
    *,
    step: float | None = None,
    chunk: int | None = None,
) -> Jacobian:
    """The Jacobian of a black box at `y` by central differences, for example of a network in another framework.

    Give y in double precision if f can take it: in single precision about five digits of J are lost.

    Parameters
    ----------
    f
        f(y, sigma), which need not be differentiable by torch; images in, a tensor out.
    y
        One noisy image, shape (1, channels, height, width).
    sigma
        Noise level passed to f, above 0.
    step
        Length of the steps in the units of y; eps^(1/3) ||y|| if None. For a network of ReLUs any step that crosses no
        kink is exact; a large one gives the slope of a smoothed f.
    chunk
        Number of images given to f at once.

    Returns
    -------
    A `Jacobian` whose engine has the attribute `error`, the estimate of its own error.

    Raises
    ------
    TypeError, ValueError
        If y is not one finite image, if sigma, step or chunk is out of range, or if f does not return one real output
        for each image.
    RuntimeError
        If f is a network in train mode, is random, or remembers its last call.

    Examples
    --------
    >>> import torch
    >>> y = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    >>> J = difference_jacobian(lambda y, sigma: torch.from_numpy(y.numpy() ** 2), y, sigma=0.1)
    >>> bool(torch.allclose(J.diagonal(), 2 * y.flatten()))
    True
    """
    if not callable(f):
        raise TypeError(f"f must be a denoiser that can be called as f(y, sigma), got {type(f).__name__}")
    validate.one_image(y, "y")
    values = _Values(f, validate.sigma_level(sigma))
    point = y.detach().clone()
    if step is None:
        step = torch.finfo(y.dtype).eps ** (1 / 3) * max(float(point.norm()), 1.0)
    step = validate.positive(step, "step")
    products, output = DifferenceProducts(values, point, step), values(point)
    refuse_memory(values, point, output)
    size = default_chunk(point) if chunk is None else validate.integer(chunk, "chunk", 1)
    return Jacobian(products, point, output, chunk=size, engine=f"central differences of step {step:.1e}")


@dataclass(frozen=True)
class _Values:
    """F at one noise level, as a function of images of which each has its output."""

    f: Denoiser
    sigma: float

    def __call__(self, x: Tensor) -> Tensor:
        validate.evaluation_mode(self.f)
        with torch.no_grad():
            output = self.f(x.clone(), self.sigma)
        if not isinstance(output, Tensor):
            raise TypeError(f"f must return a torch tensor, got {type(output).__name__}; adapt_arrays takes arrays")
        if output.is_complex() or output.ndim == 0 or len(output) != len(x):
            raise ValueError(
                f"f must return one real output for each of {len(x)} images, got shape {tuple(output.shape)} "
                f"of {output.dtype}"
            )
        return validate.finite(output.to(x), "f(y, sigma)")
