"""The Jacobian of a denoiser, by the fastest engine that gives the right answer.

Three engines make the two products J v and J^T u:

    frozen      the linear network that f is around y, recorded once (`engines.recording`, `engines.recorded`)
    autograd    reverse mode through the graph of f, and reverse mode through that (`engines.autograd`)
    differences (f(y + h v) - f(y - h v)) / 2 h, for functions that torch cannot differentiate (`engines.differences`)

`jacobian` tests f with automatic differentiation in any case. It records f, and keeps the recording if one transposed
product with a random direction agrees with the gradient, and if the two products are adjoint; else it says why not in
`Jacobian.engine`. Whichever engine is taken, one product J v is compared with differences of f (`difference_check`).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.jacobians.difference_check import compare_with_differences, direction, refuse_memory
from gahb_theory.jacobians.engines.autograd import AutogradProducts, default_chunk
from gahb_theory.jacobians.engines.curved import CurvedProducts
from gahb_theory.jacobians.engines.differences import DifferenceProducts, Values
from gahb_theory.jacobians.engines.recorded import FrozenProducts
from gahb_theory.jacobians.engines.recording import UnknownOperation, record
from gahb_theory.jacobians.linear_operator import Products
from gahb_theory.jacobians.operator import Jacobian
from gahb_theory.jacobians.symmetric import (
    HessianJacobian,
    HessianProducts,
    SymmetricJacobian,
    SymmetricProducts,
)
from gahb_theory.precision import full_precision, takes_arrays
from gahb_theory.randomness import Component, step_generator

__all__ = ["difference_jacobian", "jacobian"]

CACHE_BYTES, DEVICE_BYTES = 14e6, 420e6
"""Size of the largest feature map of a batch: what the cache of a CPU holds, and what fills an accelerator."""
LARGE = 160 * 160
"""Pixels above which f is tested on one copy of y, since the graph on two would be large."""
PROJECTIONS = 8
"""Random projections of J v that are compared where only J^T u can be computed."""
AGREEMENT = 10.0
"""How far the recorded network may be from the gradient, in units of the square root of the machine precision."""


@full_precision
@takes_arrays
def jacobian(
    f: Denoiser, y: Float[Tensor, "1 c h w"], sigma: float | Tensor, *, chunk: int | None = None, budget: float = 1e9
) -> Jacobian:
    """The Jacobian of the denoiser `f` at the noisy image `y`.

    Nothing is computed but a few values of f, one gradient and one product in each direction, which test the conditions
    on f below and choose the engine. `f` is not touched: neither its mode, nor its parameters, their gradients and flags.

    Parameters
    ----------
    f
        Any denoiser f(y, sigma) that torch can differentiate with respect to y, in eval mode, deterministic, and which
        treats each image of a batch on its own. Its output may have another shape than its input.
    y
        One noisy image, shape (1, channels, height, width), floating point and finite, with the dtype and the device of
        f.
    sigma
        Noise level passed to f, above 0.
    chunk
        Number of directions that go through f at once. The default keeps the feature maps in the cache of a CPU (1 to 64
        directions) and fills an accelerator (up to 256), within the budget; it is halved where memory does not suffice.
    budget
        Working memory in bytes, beside the matrix asked for. One direction at a time is the least.

    Returns
    -------
    An operator of shape (d_out, d_in). Its `check` says whether one product agreed with differences of f, or why that
    could not be checked: f has a kink or a jump at y, or rounds. A denoiser whose attribute `own_derivative` is True,
    since its gradient is a better estimate than the slope of its values, is not compared.

    Raises
    ------
    TypeError
        If f is not callable; if y is not floating point; if the parameters or the output of f have another dtype than
        y, or the output is no tensor.
    ValueError
        If y is not one finite image; if sigma or chunk is out of range; if the parameters of f are on another device
        than y; if the batch axis is lost; if f(y) or its gradient is not finite.
    RuntimeError
        If f is in train mode, is random or remembers its last call, mixes the images of a batch, does not depend on y in
        a way torch can follow, or only in part: J v is then not what differences of f say, and `difference_jacobian`
        helps. Images of more than 160 x 160 pixels are not tested for mixing.

    References
    ----------
    Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, Robust and interpretable blind image denoising via bias-free
    convolutional neural networks, ICLR 2020.

    See Also
    --------
    gahb_theory.Jacobian, gahb_theory.Eigenbasis, gahb_theory.difference_jacobian, gahb_theory.compare

    Examples
    --------
    The Jacobian of a moving average is the average itself:

    >>> import torch
    >>> def f(y, sigma):
    ...     return torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)
    >>> J = jacobian(f, torch.rand(1, 1, 8, 8), sigma=0.1)
    >>> J.shape
    (64, 64)
    >>> round(J.trace(), 3)
    7.111
    >>> J.homogeneity_error() < 1e-6
    True
    """
    validate.denoiser(f)
    validate.one_image(y, "y")
    level = validate.sigma_level(sigma)
    budget = validate.positive(budget, "budget")
    chunk = None if chunk is None else validate.integer(chunk, "chunk", 1)
    with torch.inference_mode(False):
        point = y.detach().clone(memory_format=torch.contiguous_format)
        one = point.shape[-2] * point.shape[-1] > LARGE or chunk == 1
        products = AutogradProducts(f, point, level, probes=1 if one else 2)
        stairs: set[str] = set()
        engine: Products
        try:
            frozen, product = _frozen(f, point, level, products, budget, stairs)
            fitting = _within(_cached(frozen.largest_value, point), frozen.bytes_per_direction, budget)
            engine, name = frozen, "frozen"
        except UnknownOperation as reason:
            fitting = _within(default_chunk(point), products.bytes_per_direction, budget)
            engine, name, product = products, f"autograd ({reason})", None
            if isinstance(f, Conservative):
                engine = HessianProducts(products)
                product = engine.push(direction(point))
        refuse_memory(products.value, point, products.output)
        if getattr(f, "own_derivative", False):
            check = "not compared with differences: f estimates its derivative beside its values"
        else:
            check = _checked(products, point, level, product, stairs=bool(stairs))
    kinds = {
        SymmetricProducts: SymmetricJacobian,
        CurvedProducts: HessianJacobian,
        HessianProducts: HessianJacobian,
    }
    kind = kinds.get(type(engine), Jacobian)
    return kind(engine, point, products.output, chunk=chunk or fitting, engine=name, check=check)


@full_precision
@takes_arrays
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
    A `Jacobian` whose engine has the attribute `error`, an estimate of its error.

    Raises
    ------
    TypeError, ValueError
        If y is not one finite image, if sigma, step or chunk is out of range, or if f does not return one real output
        for each image.
    RuntimeError
        If f is a network in train mode, is random, or remembers its last call.

    See Also
    --------
    gahb_theory.jacobian

    Examples
    --------
    >>> import torch
    >>> y = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    >>> J = difference_jacobian(lambda y, sigma: torch.from_numpy(y.numpy() ** 2), y, sigma=0.1)
    >>> bool(torch.allclose(J.diagonal(), 2 * y.flatten()))
    True
    """
    validate.denoiser(f)
    validate.one_image(y, "y")
    values = Values(f, validate.sigma_level(sigma))
    point = y.detach().clone()
    if step is None:
        step = torch.finfo(y.dtype).eps ** (1 / 3) * max(float(point.norm()), 1.0)
    step = validate.positive(step, "step")
    products, output = DifferenceProducts(values, point, step), values(point)
    refuse_memory(values, point, output)
    size = default_chunk(point) if chunk is None else validate.integer(chunk, "chunk", 1)
    return Jacobian(products, point, output, chunk=size, engine=f"central differences of step {step:.1e}")


def _checked(products: AutogradProducts, y: Tensor, sigma: float, product: Tensor | None, *, stairs: bool) -> str:
    """What the comparison with differences says; of a few projections of J v where only J^T u can be computed."""
    output, v = products.output, direction(y)
    f: Callable[[Tensor], Tensor] = products.value
    try:
        product = products.push(v) if product is None else product
    except RuntimeError:
        generator = step_generator("cpu", Component.PROJECTIONS)
        signs = 2 * torch.randint(2, (PROJECTIONS, output.numel()), generator=generator, device="cpu").to(y) - 1
        rows = torch.cat([products.pull(u.reshape(output.shape)) for u in signs])
        product = (rows.flatten(1) @ v.flatten())[None]
        f, output = (lambda x: products.value(x).flatten(1) @ signs.mT), output.flatten(1) @ signs.mT
    products.forget()
    return compare_with_differences(f, y, output, product, sigma, stairs=stairs)


def _frozen(
    f: Denoiser, y: Tensor, sigma: float, autograd: AutogradProducts, budget: float, stairs: set[str]
) -> tuple[FrozenProducts | SymmetricProducts | CurvedProducts, Tensor]:
    """The frozen engine, if it can be made and agrees with automatic differentiation, and J v for `direction(y)`."""
    conservative = isinstance(f, Conservative)
    recording = record(f.network if isinstance(f, Conservative) else f, y, sigma, stairs, curved=conservative)
    network = FrozenProducts(recording, y.element_size(), autograd.check_unchanged, budget=budget)
    frozen: FrozenProducts | SymmetricProducts | CurvedProducts = network
    if conservative:
        frozen = CurvedProducts(network, recording, y) if recording.bends else SymmetricProducts(network)
    u, expected = autograd.probe
    if u.ndim != 4:
        raise UnknownOperation("the output is no image")
    pulled, v = frozen.pull(u), direction(y)
    allowed = AGREEMENT * torch.finfo(y.dtype).eps ** 0.5
    error = float((pulled - expected).norm())
    if not error <= allowed * float(expected.norm()):
        raise UnknownOperation(
            f"the recorded network differs from the gradient by {error / float(expected.norm()):.1e}; "
            "f may block gradients, or change a tensor in place that it uses again"
        )
    pushed = frozen.push(v)
    gap = abs(float((pushed * u).sum() - (pulled * v).sum()))
    if not gap <= allowed * float(pushed.norm() * u.norm()):
        raise UnknownOperation("the two products of the recorded network are not adjoint")
    return frozen, pushed


def _cached(largest: int, y: Tensor) -> int:
    """Number of directions whose feature maps the cache holds."""
    cpu = y.device.type == "cpu"
    return max(1, min(64 if cpu else 256, int((CACHE_BYTES if cpu else DEVICE_BYTES) / (largest * y.element_size()))))


def _within(chunk: int, bytes_per_direction: int, budget: float) -> int:
    return max(1, min(chunk, int(budget / bytes_per_direction)))
