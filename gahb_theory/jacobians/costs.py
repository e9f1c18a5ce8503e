"""What the Jacobian of a large image costs, known before it is made: bytes, products, operations.

The bytes and operations of a convolutional network are affine in the number n of pixels,

    bytes(n) = a + b n,

a from the parameters, b from the feature maps. Both are counted on two small images, tensor by tensor as torch makes and frees
them, and carried to the size asked for; with attention a term in n^2 is counted from a third. Counted apart are the graph
by which f is tested, the recording, what the Jacobian holds afterwards, and one product, since each may be the largest. The
library of convolutions may take buffers beside.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.construction import LARGE, jacobian
from gahb_theory.jacobians.engines.autograd import AutogradProducts, probe_direction
from gahb_theory.jacobians.lanczos import SHORTEST_LOOK, basis_bytes
from gahb_theory.jacobians.linear_operator import LinearOperator
from gahb_theory.memory import check_memory
from gahb_theory.precision import full_precision, plain_attention
from gahb_theory.stored_results import Result

__all__ = ["Cost", "JacobianCosts", "jacobian_costs"]

SMALL_SIDES = 64, 128
"""Sides of the images on which is counted; a third, in the middle, for attention."""
SOFTMAX = ("_softmax", "bmm")


@dataclass(frozen=True, repr=False)
class Cost(Result):
    """What one task needs.

    Attributes
    ----------
    bytes
        Memory at the peak, beside the parameters of the network and the image.
    products
        Products with J or J^T: their number, or the least number where convergence decides.
    operations
        Multiplications and additions of these products.
    """

    bytes: int
    products: int
    operations: float

    def seconds(self, rate: float) -> float:
        """Time of the products at `rate` operations per second, below which the task cannot end."""
        return self.operations / validate.positive(rate, "rate")

    def check(self, limit: float | None = None) -> "Cost":
        """Refuse the task if it needs more than `limit` bytes, or than the machine has if None; else return this."""
        check_memory(self.bytes, "the products and vectors", "take fewer pairs, or a window of the image", limit=limit)
        return self


@dataclass(frozen=True, repr=False)
class JacobianCosts(Result):
    """What a Jacobian of images of `shape` costs.

    Attributes
    ----------
    shape
        (channels, height, width).
    engine
        The engine, and why.
    making
        Bytes at the peak of `jacobian(f, y, sigma)`.
    held
        Bytes that the Jacobian holds.
    product
        Bytes that one product needs more, for one direction.
    operations
        Multiplications and additions of one product.
    symmetric
        Whether J is symmetric by construction.
    element_size
        Bytes of a number.
    """

    shape: tuple[int, int, int]
    engine: str
    making: int
    held: int
    product: int
    operations: float
    symmetric: bool
    element_size: int

    @property
    def dimension(self) -> int:
        """Numbers in an image."""
        return torch.Size(self.shape).numel()

    def eigenpairs(self, k: int) -> Cost:
        """The k largest eigenpairs by Lanczos iteration on a CPU.

        At least k steps, and eight to see that none was missed; each takes a product with J and one with J^T, unless J
        is symmetric.
        """
        k = validate.integer(k, "k", 1, self.dimension)
        products = (1 if self.symmetric else 2) * (k + SHORTEST_LOOK)
        return self._cost(basis_bytes(self.dimension, k) + self.product, products)

    def trace(self, probes: int) -> Cost:
        """The trace by random probes, one direction at a time."""
        probes = validate.integer(probes, "probes", 2)
        return self._cost(self.product + 3 * self.dimension * self.element_size, probes)

    def rows(self, count: int, reached: int | None = None) -> Cost:
        """`count` rows on `reached` numbers each, the whole image if None; the operations are those of whole products."""
        count = validate.integer(count, "count", 1)
        numbers = self.dimension if reached is None else validate.integer(reached, "reached", 1, self.dimension)
        return self._cost(count * numbers * self.element_size + self.product, count)

    def _cost(self, extra: int, products: int) -> Cost:
        return Cost(max(self.making, self.held + extra), products, products * self.operations)


@full_precision
def jacobian_costs(f: Denoiser, shape: Sequence[int], sigma: float, *, like: Tensor | None = None) -> JacobianCosts:
    """The bytes and operations that the Jacobian of `f` needs at images of a shape, counted on small images.

    Parameters
    ----------
    f
        A denoiser of images of any size, as in `gahb_theory.jacobian`.
    shape
        (channels, height, width) of the large image.
    sigma
        Noise level.
    like
        A tensor with the dtype and device of the image; single precision on the CPU if None.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `gahb_theory.jacobian` at the small images.

    Examples
    --------
    >>> import torch
    >>> f = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 3, padding=1))
    >>> costs = jacobian_costs(lambda y, sigma: f(y), (1, 512, 512), 0.1)
    >>> costs.engine, costs.operations == 2 * 2 * 72 * 512**2
    ('frozen', True)
    """
    validate.denoiser(f)
    channels, height, width = image = validate.sizes(shape, 3)
    sigma = validate.sigma_level(sigma)
    like = torch.empty(0) if like is None else like
    copies = 1 if height * width > LARGE else 2
    if height * width <= SMALL_SIDES[1] ** 2:
        counts = [_count(f, image, sigma, like, copies)]
    else:
        counts = [_count(f, (channels, side, side), sigma, like, copies) for side in SMALL_SIDES]
        if counts[0].attention:
            middle = sum(SMALL_SIDES) // 2
            counts.insert(1, _count(f, (channels, middle, middle), sigma, like, copies))
    at = [_carried([c.pixels for c in counts], [c.numbers[i] for c in counts], height * width) for i in range(5)]
    graph, making, held, product, operations = at
    return JacobianCosts(
        shape=(channels, height, width),
        engine=counts[0].engine,
        making=int(max(graph, making)),
        held=int(held),
        product=int(product),
        operations=operations,
        symmetric=counts[0].symmetric,
        element_size=like.element_size(),
    )


@dataclass(frozen=True)
class _Counts:
    """Of one small image: the graph, the making, what is held, one product, operations."""

    pixels: int
    numbers: tuple[float, float, float, float, float]
    engine: str
    attention: bool
    symmetric: bool


def _count(f: Denoiser, shape: Sequence[int], sigma: float, like: Tensor, copies: int) -> _Counts:
    y = like.new_zeros(1, *shape)
    y.copy_(0.5 + sigma * probe_direction(y, 4))
    operations = _operations(f, y, sigma)
    graph, _, _ = _peak(lambda: AutogradProducts(f, y, sigma, probes=copies))
    making, held, J = _peak(lambda: jacobian(f, y, sigma, chunk=copies))
    v, attention = probe_direction(y.flatten(), 5), making.names
    u = probe_direction(J.output.flatten(), 6)
    # a graph of another batch is made anew: the first product belongs to what is counted
    product, _, _ = _peak(lambda: _both(J, v, u))
    numbers = (float(graph.peak), float(making.peak), float(held), float(product.peak), operations)
    return _Counts(
        y.shape[2] * y.shape[3], numbers, J.engine, any(name in SOFTMAX for name in attention), J.is_symmetric
    )


def _both(J: LinearOperator, v: Tensor, u: Tensor) -> None:
    J.matvec(v)
    J.rmatvec(u)


def _operations(f: Denoiser, y: Tensor, sigma: float) -> float:
    """Multiplications and additions of one pass: a product by any engine costs as much."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), plain_attention(), counter:
        f(y.clone(), sigma)
    return float(counter.get_total_flops())


def _carried(pixels: Sequence[int], values: Sequence[float], target: int) -> float:
    """The polynomial through the counts, at `target` pixels; not below the largest of them."""
    total = 0.0
    for i, value in enumerate(values):
        for j, n in enumerate(pixels):
            value *= (target - n) / (pixels[i] - n) if j != i else 1.0
        total += value
    return max(total, *values) if len(values) > 1 else total


def _peak(run: Callable[[], Any]) -> tuple["_LiveBytes", int, Any]:
    """Run; the bytes at the peak, those still held at the end, and the result."""
    live = _LiveBytes()
    with torch.inference_mode(False), live:
        result = run()
    return live, live.now, result


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors made since it began, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.names: set[str] = set()
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        result = func(*args, **(kwargs or {}))
        self.names.add(func.overloadpacket.__name__)
        for x in tree_leaves(result):
            if isinstance(x, Tensor) and x.layout == torch.strided:
                storage = x.untyped_storage()
                key = storage._cdata
                if key not in self._sizes and key not in before:
                    self._sizes[key] = storage.nbytes()
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._freed, key)
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)
