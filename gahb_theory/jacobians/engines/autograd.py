"""Products with the Jacobian of any denoiser that torch can differentiate, on one graph that is saved.

The denoiser runs once on a batch of B copies of y. Reverse mode on that graph gives B products with the transpose in
one pass, and J^T u is linear in u, so that reverse mode through reverse mode gives the transpose of the transpose:

    J^T u = d<u, f(y)>/dy,        J v = d<v, J^T u>/du        (Griewank and Walther 2008; Townsend 2017).

Both reuse the graph: no product runs the denoiser again, and the two are adjoint by construction. This is faster than
forward mode, which runs the denoiser with dual numbers for each product (Wengert 1964) and steps in only where the
gradient of f has no gradient of its own.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.precision import plain_attention
from gahb_theory.randomness import Component, step_generator

__all__ = ["REPEATED", "AutogradProducts", "default_chunk", "probe_direction"]

CHANNELS = 64
"""Width of a typical network: the chunk is chosen so that one of its feature maps fits the budget below."""
CACHE_BYTES = 26e6
"""Budget of that feature map on a CPU, where a batch that leaves the cache gains nothing."""
DEVICE_BYTES = 420e6
"""The same on an accelerator."""
REPEATED = 1e-5
"""Least relative distance of two answers of f for one image that is more than the rounding inside f."""
NOT_FINITE = "the gradient of f at y is not finite; look for square roots or divisions at 0 inside f"
ADJOINT_ERROR = 1e3, 1e-5
"""How far <u, J v> may be from <J^T u, v>: in units of the machine precision, and at least, since f may round inside."""


class AutogradProducts:
    """J v and J^T u of f(., sigma) at one image, each on a batch of directions.

    Parameters
    ----------
    f, sigma
        The denoiser and the noise level it is given.
    y
        One image, shape (1, channels, height, width), detached, contiguous, owned by this object.
    probes
        Number of copies of y, 1 or 2, on which f is tested; with 2, also that each image of a batch is treated
        separately.

    Attributes
    ----------
    output
        f(y), shape (1, ...), detached.
    probe
        A direction u and J^T u, each of batch 1.
    bytes_per_direction
        Memory of the graph of f on one copy of y, with what its products need.
    """

    def __init__(self, f: Denoiser, y: Tensor, sigma: float, *, probes: int = 2) -> None:
        self._f, self._y, self._sigma = f, y, sigma
        _check_parameters(f, y)
        self._parameters = _versions(f)
        self._graph: tuple[Tensor, Tensor] | None = None
        self._transposed: tuple[Tensor, Tensor] | None = None
        self._forward_mode: bool | None = None
        self.output = self._probe(probes)

    def __getstate__(self) -> dict[str, Any]:
        """All but the graph, which does not travel; the parameters must be those of the start."""
        self.check_unchanged()
        return {**self.__dict__, "_graph": None, "_transposed": None, "_parameters": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._parameters = _versions(self._f)

    def pull(self, u: Tensor) -> Tensor:
        """J^T u for `u` of shape (batch, *output shape)."""
        copies, output = self._on_copies(len(u))
        (gradient,) = torch.autograd.grad(output, copies, u, retain_graph=True)
        return gradient

    def push(self, v: Tensor) -> Tensor:
        """J v for `v` of shape (batch, *input shape)."""
        if self._forward_mode is None:
            self._forward_mode = self._choose_mode(len(v))
        return self._push_forward(v) if self._forward_mode else self._push_reverse(v)

    def _push_reverse(self, v: Tensor) -> Tensor:
        copies, output = self._on_copies(len(v))
        if self._transposed is None:
            u = torch.zeros_like(output, requires_grad=True)
            (gradient,) = torch.autograd.grad(output, copies, u, create_graph=True)
            self._transposed = (u, gradient)
        u, gradient = self._transposed
        (tangent,) = torch.autograd.grad(gradient, u, v, retain_graph=True)
        return tangent

    def _push_forward(self, v: Tensor) -> Tensor:
        self.check_unchanged()
        with torch.no_grad(), plain_attention(), forward_ad.dual_level():
            output = self._f(_dual(self._y.repeat(len(v), 1, 1, 1), v.clone()), self._sigma)
            tangent = forward_ad.unpack_dual(output).tangent  # type: ignore[no-untyped-call]
        return torch.zeros_like(output) if tangent is None else tangent

    def _choose_mode(self, batch: int) -> bool:
        """Whether J v needs forward mode: the first of the two ways that runs and is adjoint to `pull`."""
        _, output = self._on_copies(batch)
        u, v = probe_direction(output, 1), probe_direction(self._y.expand(batch, -1, -1, -1), 2)
        pulled = self.pull(u)
        if not bool(torch.isfinite(pulled).all()):
            raise RuntimeError(NOT_FINITE)
        precision = torch.finfo(v.dtype).eps
        allowed = max(ADJOINT_ERROR[0] * precision, ADJOINT_ERROR[1])
        rounding = precision**0.75 * float(u.norm() * v.norm())  # of a J that vanishes
        failures = []
        for forward_mode, push in ((False, self._push_reverse), (True, self._push_forward)):
            try:
                pushed = push(v)
            except RuntimeError as error:  # NotImplementedError is one of them
                failures.append(str(error).splitlines()[0].rstrip("."))
                continue
            gap = float((u * pushed).sum() - (pulled * v).sum())
            if abs(gap) <= allowed * float(u.norm() * pushed.norm() + pulled.norm() * v.norm()) + rounding:
                return forward_mode
            failures.append(f"<u, J v> differs from <J^T u, v> by {abs(gap):.1e}")
        raise RuntimeError(
            "J v cannot be computed for this f, only J^T u: "
            f"by double backward, {failures[0]}; by forward mode, {failures[1]}. "
            "Call J.matrix() first, which needs J^T u alone; J v is then taken from the matrix"
        )

    def _on_copies(self, batch: int) -> tuple[Tensor, Tensor]:
        """`batch` copies of y and f of them, with the graph between the two."""
        self.check_unchanged()
        if self._graph is None or len(self._graph[0]) != batch:
            self._graph = self._transposed = None  # let the old graph go before the new one grows
            self._graph = self._run(batch)
        return self._graph

    def _run(self, batch: int) -> tuple[Tensor, Tensor]:
        validate.evaluation_mode(self._f)
        with torch.enable_grad(), plain_attention():
            copies = self._y.repeat(batch, 1, 1, 1).requires_grad_()
            try:
                return copies, self._f(copies.clone(), self._sigma)  # the clone may be changed in place, a leaf may not
            except TypeError as error:
                validate.explain_call(self._f, copies, self._sigma, "f", error)
                raise

    def _probe(self, batch: int) -> Tensor:
        """f(y), after a test of f."""
        saved: dict[int, int] = {}

        def count(x: Tensor) -> Tensor:
            saved[x.data_ptr()] = x.numel() * x.element_size()
            return x.detach()

        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            copies, output = self._run(batch)
        self.bytes_per_direction = 3 * max(sum(saved.values()) // batch, copies[0].numel() * copies.element_size())
        _check_output(output, copies)
        direction = torch.zeros_like(output, requires_grad=False)
        direction[:1] = probe_direction(output[:1], 0)
        gradient = None
        if output.requires_grad:
            (gradient,) = torch.autograd.grad(output, copies, direction, allow_unused=True)
        if gradient is None:
            raise RuntimeError(
                "the output of f does not depend on y in a way torch can follow; "
                "look for detach, torch.no_grad, .data or numpy inside f, or take difference_jacobian(f, y, sigma)"
            )
        if not bool(torch.isfinite(gradient).all()):
            raise ValueError(NOT_FINITE)
        self.probe = direction[:1].clone(), gradient[:1].clone()
        alone = self.value(self._y)
        if batch > 1:
            _check_images_apart(output.detach(), alone, gradient, self._y)
        return alone.detach().clone()

    def forget(self) -> None:
        """Let the graph go."""
        self._graph = self._transposed = None

    def value(self, y: Tensor) -> Tensor:
        """F of one image, without a gradient."""
        with torch.no_grad(), plain_attention():
            return self._f(y.clone(), self._sigma)

    def check_unchanged(self) -> None:
        """Refuse to go on if the parameters of f are not those of the start."""
        if any(p._version != version for p, version in self._parameters):
            raise RuntimeError(
                "the parameters of f have changed since this Jacobian was made; call jacobian(f, y, sigma) again, "
                "or J.matrix() before they change"
            )


def _versions(f: Denoiser) -> list[tuple[Tensor, int]]:
    return [(p, p._version) for p in f.parameters()] if isinstance(f, nn.Module) else []


def default_chunk(y: Tensor) -> int:
    """Number of copies of y that go through a network at once: 1 to 64 on a CPU, up to 256 on an accelerator."""
    one = CHANNELS * y.shape[-2] * y.shape[-1] * y.element_size()
    if y.device.type == "cpu":
        return max(1, min(64, int(CACHE_BYTES // one)))
    return max(1, min(256, int(DEVICE_BYTES // one)))


def _check_parameters(f: Denoiser, y: Tensor) -> None:
    for name, parameter in f.named_parameters() if isinstance(f, nn.Module) else ():
        if parameter.device != y.device:
            raise ValueError(
                f"y is on {y.device}, but the parameter {name} of f is on {parameter.device}; move y with "
                f"y.to({str(parameter.device)!r}), or the network with f.to({str(y.device)!r})"
            )
        if parameter.is_floating_point() and parameter.dtype != y.dtype:
            raise TypeError(
                f"y is {y.dtype}, but the parameter {name} of f is {parameter.dtype}; convert y with "
                f"y.to({parameter.dtype}), or a copy of the network with copy.deepcopy(f).to({y.dtype})"
            )


def _check_output(output: Tensor, copies: Tensor) -> None:
    if not isinstance(output, Tensor):
        raise TypeError(
            f"f must return a tensor of shape (batch, ...), got {type(output).__name__}; wrap f in a function that does"
        )
    if output.dtype != copies.dtype:
        raise TypeError(
            f"f returned {output.dtype} for images of {copies.dtype}; leave torch.autocast, or convert inside f"
        )
    if output.ndim == 0 or output.shape[0] != copies.shape[0]:
        raise ValueError(
            f"f must return one output for each image of the batch, got shape {tuple(output.shape)} for a batch of "
            f"{copies.shape[0]} images; keep the batch axis first, or give chunk=1 if f can take only one image"
        )
    if output.numel() == 0 or not bool(torch.isfinite(output).all()):
        raise ValueError("f(y, sigma) is empty, or has values that are NaN or infinite; look at f(y, sigma) first")


def _check_images_apart(output: Tensor, alone: Tensor, gradient: Tensor, y: Tensor) -> None:
    """Two copies of one image must get the answer it gets alone, and the first must not depend on the second copy."""
    precision = torch.finfo(output.dtype).eps
    allowed = max(precision**0.5, REPEATED) * float(alone.norm()) + 100 * precision * float(y.norm())
    if float((output[1] - output[0]).norm()) > allowed:
        raise RuntimeError(
            "f gives two different answers for two copies of y in one batch, so it has no Jacobian; "
            "look for dropout or other random numbers inside f"
        )
    coupled = float(gradient[1].norm()) > precision**0.5 * float(gradient[0].norm())
    if coupled or float((output[0] - alone[0]).norm()) > allowed:
        raise RuntimeError(
            "f mixes the images of a batch, as batch normalisation does in train mode; put every network inside f in "
            "eval mode, or give chunk=1 if this is meant"
        )


def _dual(y: Tensor, v: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch compiles its own rules with torch.jit at first use
        return forward_ad.make_dual(y, v)  # type: ignore[no-untyped-call]


def probe_direction(like: Tensor, seed: int) -> Tensor:
    """A fixed standard normal direction, the same on every device."""
    generator = step_generator("cpu", Component.DIRECTION, seed)
    return (
        torch.randn(like.shape, generator=generator, dtype=torch.float32, device="cpu").to(like.dtype).to(like.device)
    )
