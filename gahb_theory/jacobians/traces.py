"""The trace of the Jacobian at each image of a batch: exactly, or by random probes.

    tr J = sum_i d f_i / d y_i        tr J = E <e, J e>,  e with independent signs      (Hutchinson 1990)

Both need J^T u alone, one backward pass for each direction. The exact trace takes d of them for each image. With p
probes the variance is 2 / p times the sum of squares of the symmetric part of J off its diagonal, so a few probes are
enough where f is nearly diagonal, and always where many images are averaged.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.construction import jacobian
from gahb_theory.jacobians.difference_check import UNCHECKED
from gahb_theory.jacobians.engines.autograd import NOT_FINITE, default_chunk
from gahb_theory.jacobians.linear_operator import LinearOperator, check_operator
from gahb_theory.precision import full_precision, plain_attention
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import Component, step_generator
from gahb_theory.stored_results import Result

__all__ = ["Hutchinson", "Trace", "TraceEstimate", "exact_trace"]

Trace: TypeAlias = Callable[[Denoiser, Tensor, float | Tensor], Tensor]
"""(f, y, sigma) -> tr J at each image of y, shape (n,): `exact_trace`, or a `Hutchinson`."""


@full_precision
def exact_trace(f: Denoiser, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
    """Trace of the Jacobian of `f` at each image of `y`, by d backward passes for each.

    Parameters
    ----------
    f
        A denoiser that torch can differentiate, in eval mode, which treats each image of a batch separately.
    y
        Noisy images, shape (n, channels, height, width).
    sigma
        Noise level passed to f: a number or a tensor of shape (n,), above 0.

    Returns
    -------
    Shape (n,). A progress bar appears after two seconds.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `gahb_theory.jacobian` does, which is called at the first image; also if f does not return images of the
        shape of y.

    Warns
    -----
    RuntimeWarning
        If the derivative at the first image could not be checked.

    Examples
    --------
    >>> import torch
    >>> y = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])
    >>> exact_trace(lambda y, sigma: y**2, y, 0.1)
    tensor([ 6., 14.])
    """
    d = validate.images(y, "y")[0].numel()
    parts = []
    with progress_bar(total=len(y) * d, desc="trace", unit="row") as bar:
        for _, batch, copies in _graphs(f, y, sigma, d):
            total = torch.zeros(batch, dtype=torch.float64, device="cpu")
            for pixels in torch.split(torch.arange(d, device=y.device), copies.count):
                rows = torch.arange(len(pixels), device=y.device)
                cotangents = torch.zeros(copies.count, batch, d, dtype=y.dtype, device=y.device)
                cotangents[rows, :, pixels] = 1
                total += copies.pull(cotangents)[rows, :, pixels].sum(dim=0).cpu()
                bar.update(batch * len(pixels))
            parts.append(total)
    return _finite(torch.cat(parts), y)


@dataclass(frozen=True, eq=False, repr=False)
class TraceEstimate(Result):
    """A random estimate of the trace at each image.

    Parameters
    ----------
    value
        Mean over the probes, shape (n,).
    standard_error
        Its standard error over the probes, shape (n,).
    """

    value: Float[Tensor, " n"]
    standard_error: Float[Tensor, " n"]


@dataclass(frozen=True)
class Hutchinson:
    """Traces by random signs, to be called like `exact_trace`.

    Parameters
    ----------
    probes
        Number of random directions for each image, at least 2.
    seed
        Names them; those of image i of the batch depend on (seed, i) alone.

    References
    ----------
    M. F. Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines,
    Communications in Statistics, 1990.

    Examples
    --------
    On a diagonal Jacobian one sign is as good as all:

    >>> import torch
    >>> estimate = Hutchinson(probes=2).estimate(lambda y, sigma: y**2, torch.tensor([[[[1.0, 2.0]]]]), 0.1)
    >>> float(estimate.value), float(estimate.standard_error)
    (6.0, 0.0)
    """

    probes: int = 16
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "probes", validate.integer(self.probes, "probes", 2))
        object.__setattr__(self, "seed", validate.seed(self.seed))

    def __call__(self, f: Denoiser, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """The estimate alone, shape (n,); see `exact_trace` for the parameters."""
        return self.estimate(f, y, sigma).value

    @full_precision
    def estimate(self, f: Denoiser, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> TraceEstimate:
        """The estimate with its standard error; see `exact_trace` for the parameters."""
        d = validate.images(y, "y")[0].numel()
        parts = []
        for first, batch, copies in _graphs(f, y, sigma, self.probes):
            signs = torch.stack([self._signs(first + i, d, y.device) for i in range(batch)], dim=1).to(y.dtype)
            forms = []
            for part in torch.split(signs, copies.count):
                padded = torch.nn.functional.pad(part, (0, 0, 0, 0, 0, copies.count - len(part)))
                forms.append((padded * copies.pull(padded)).sum(dim=2)[: len(part)])
            parts.append(torch.cat(forms).double().cpu())
        values = torch.cat(parts, dim=1)
        error = values.std(dim=0) / self.probes**0.5
        return TraceEstimate(_finite(values.mean(dim=0), y), error.to(y.dtype).to(y.device))

    @full_precision
    def of(self, J: LinearOperator) -> TraceEstimate:
        """The same estimate from the products of a Jacobian at hand, which large images need: no graph is made.

        Examples
        --------
        >>> import torch
        >>> from gahb_theory.jacobians import jacobian
        >>> J = jacobian(lambda y, sigma: y**2, torch.tensor([[[[1.0, 2.0]]]]), 0.1)
        >>> float(Hutchinson(probes=2).of(J).value)
        6.0
        """
        check_operator(J, square="the trace needs")
        signs = self._signs(0, J.shape[0], J.device)
        forms = []
        with progress_bar(total=self.probes, desc="trace", unit="probe") as bar:
            for part in torch.split(signs, J.chunk):
                u = part.to(J.dtype)
                forms.append((u * J.rmatvec(u.mT).mT).double().sum(dim=1))
                bar.update(len(part))
        values = torch.cat(forms).cpu()
        error = values.std() / self.probes**0.5
        return TraceEstimate(_finite(values.mean()[None], J._y), error[None].to(J.dtype).to(J.device))

    def _signs(self, index: int, d: int, device: torch.device) -> Tensor:
        generator = step_generator(device, Component.TRACE_PROBES, self.seed, index)
        return 2 * torch.randint(2, (self.probes, d), generator=generator, device=device) - 1


class _Copies:
    """f on `count` copies of a batch of images, with the graph from one to the other."""

    def __init__(self, f: Denoiser, y: Tensor, sigma: float | Tensor, count: int) -> None:
        self.count = count
        with torch.inference_mode(False), torch.enable_grad(), plain_attention():
            self.inputs = y.detach().repeat(count, 1, 1, 1).requires_grad_()
            levels = sigma if isinstance(sigma, float) else sigma.repeat(count)
            self.outputs = validate.denoised(f, self.inputs.clone(), levels)

    def pull(self, u: Tensor) -> Tensor:
        """J^T u for `u` of shape (count, batch, d)."""
        cotangents = u.reshape(self.outputs.shape)
        (gradient,) = torch.autograd.grad(self.outputs, self.inputs, cotangents, retain_graph=True)
        return gradient.reshape(u.shape)


def _graphs(f: Denoiser, y: Tensor, sigma: float | Tensor, directions: int) -> Iterator[tuple[int, int, _Copies]]:
    """For each batch of images its place, its size, and f on as many copies of it as may go through f at once."""
    levels = validate.batch_sigma(sigma, y).flatten()
    many = len(levels) > 1
    check = jacobian(f, y[:1], float(levels[0])).check  # tests f
    if check.startswith(UNCHECKED):
        warnings.warn(f"the derivative of f at the first image {check}", RuntimeWarning, stacklevel=4)
    chunk = default_chunk(y)
    for first in range(0, len(y), chunk):
        part = y[first : first + chunk]
        part_levels = levels[first : first + chunk].expand(len(part)) if many else float(levels[0])
        yield first, len(part), _Copies(f, part, part_levels, max(1, min(directions, chunk // len(part))))


def _finite(traces: Tensor, y: Tensor) -> Tensor:
    if not bool(torch.isfinite(traces).all()):
        raise RuntimeError(NOT_FINITE)
    return traces.to(y.dtype).to(y.device)
