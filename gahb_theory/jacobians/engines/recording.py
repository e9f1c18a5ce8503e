"""The derivative of a denoiser at y, recorded as a graph of linear maps while the denoiser runs once.

A network of convolutions and ReLUs is linear once the signs of its activations are held: with masks D_l (0 or 1) taken at
y, f(y) = W_L D_{L-1} W_{L-1} ... D_1 W_1 y and J = W_L D_{L-1} ... W_1 (Mohan, Kadkhodaie, Simoncelli and
Fernandez-Granda, ICLR 2020, equation 5; Balestriero and Baraniuk 2018). The same holds to first order for every
activation that acts on each number alone: D is then its derivative, and J the product. Where the cotangents of such a
network are differentiated once more, the second derivatives at y are needed too (`curvature`).

`record` watches the operations that torch executes, below the level of modules, so that neither the class of the network
nor the way it is written matters. An operation it does not know is remembered with its name, and only stops it if the
output depends on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.engines.curvature import Bend, NormBending, PointwiseBending
from gahb_theory.jacobians.engines.global_maps import Inner, Spread
from gahb_theory.jacobians.engines.linear_maps import Channels, Convolution, Map, Scale, Sum
from gahb_theory.jacobians.engines.operations import CONSTANT, POINTWISE, RULES, STAIRS
from gahb_theory.precision import plain_attention

__all__ = ["Recording", "Step", "UnknownOperation", "record"]


SPLITS = ("split", "split_with_sizes")
"""Operations that give the parts of one image."""
PRODUCTS, SUMS = ("mul", "div"), ("add", "sub")
"""Operations whose operands are brought to one shape."""


class UnknownOperation(Exception):
    """The output depends on y through something that is not one of the known linear maps."""


@dataclass(frozen=True)
class Step:
    """Value number `output` is `map` of the values number `inputs`; value 0 is y."""

    map: Map
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Recording:
    """The derivative as a list of steps.

    Attributes
    ----------
    steps
        In order of execution; none that the output does not need.
    output
        Number of the value that is the output.
    shapes
        (channels, height, width) of each value.
    bends
        The second derivatives of the operations that have any; empty unless they were asked for.
    """

    steps: tuple[Step, ...]
    output: int
    shapes: dict[int, tuple[int, int, int]]
    bends: tuple[Bend, ...] = ()


@dataclass(frozen=True)
class _Note:
    """A step while the denoiser runs: its map may be an activation, or unknown."""

    map: Any
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class _Unknown:
    """In the place of a map: an operation that is none of ours."""

    name: str


@dataclass(frozen=True)
class _Activation:
    """In the place of a scale: an activation whose derivative is taken when the recording is over."""

    function: Callable[[Tensor], Tensor]
    at: Tensor


def record(f: Denoiser, y: Tensor, sigma: float, stairs: set[str] | None = None, *, curved: bool = False) -> Recording:
    """The derivative of f(., sigma) at one image `y`, shape (1, c, h, w), with the second derivatives where `curved`.

    The names of operations that round what depends on y are added to `stairs`.

    Raises
    ------
    UnknownOperation
        If f does something else than the linear maps of `maps` and activations that act on each number alone.
    """
    recorder = _Recorder(set() if stairs is None else stairs)
    copy = y.clone()
    recorder.number(copy)
    try:
        with torch.no_grad(), plain_attention(), recorder:
            output = f(copy, sigma)
    except (RuntimeError, TypeError) as error:
        raise UnknownOperation(f"f does not run while it is watched: {str(error).splitlines()[0]}") from error
    number = recorder.numbers.get(output)
    if number is None:
        raise UnknownOperation("the output does not depend on y through operations that could be followed")
    steps, bends = _needed(recorder, number, curved=curved)
    held = {i for bend in bends for i in (bend.target, bend.source, bend.output)}
    return Recording(tuple(_simplified(steps, held)), number, recorder.shapes, tuple(bends))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Numbers every tensor that depends on y, and notes how it was made."""

    def __init__(self, stairs: set[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stairs = stairs
        self.numbers: Any = WeakTensorKeyDictionary()
        self.steps: list[_Note] = []
        self.bends: list[Bend] = []
        self.shapes: dict[int, tuple[int, int, int]] = {}

    def number(self, x: Tensor) -> int:
        """Give `x` a new number; also where it was changed in place."""
        self.numbers[x] = count = len(self.shapes)
        self.shapes[count] = tuple(x.shape[1:])  # type: ignore[assignment]
        return count

    def follows(self, x: Any) -> bool:
        """Whether `x` is a tensor that depends on y."""
        return isinstance(x, Tensor) and x in self.numbers

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__.removesuffix("_")
        followed = [x for x in tree_leaves((args, kwargs)) if self.follows(x)]
        before = args[0].clone() if name in POINTWISE and followed and followed[0] is args[0] else None
        held = [x.clone() for x in args[:2]] if len(followed) == 2 and name in PRODUCTS and not kwargs else None
        inputs = tuple(self.numbers[x] for x in followed)
        result = func(*args, **kwargs)
        outputs = [
            x for x in tree_leaves(result) if isinstance(x, Tensor) and (x.is_floating_point() or x.is_complex())
        ]
        if followed and (name in STAIRS or (name == "_to_copy" and not outputs)):
            self.stairs.add(name)
        if not followed or not outputs or name == "detach" or name in CONSTANT:
            return result
        single = outputs[0]
        plain = single.ndim == 4 and single.shape[0] == 1 and single.dtype == followed[0].dtype
        if plain and name in POINTWISE and len(followed) == 1 and before is not None and before.shape == single.shape:
            made: Any = _Activation(partial(_call, func, args[1:], kwargs), before)
            self.steps.append(_Note(made, inputs, self.number(single)))
        elif (
            plain and name == "div" and len(followed) == 1 and followed[0] is args[1] and args[1].shape == single.shape
        ):
            self.steps.append(_Note(_Activation(partial(torch.div, args[0]), args[1]), inputs, self.number(single)))
        elif plain and held is not None:
            self.product(name, held, inputs, single)
        elif plain and name == "linalg_vector_norm" and _euclidean(args, followed[0]) and float(single) > 0:
            direction = followed[0] / single
            self.steps.append(_Note(Inner(direction), inputs, self.number(single)))
            number = self.numbers[single]
            self.bends.append(Bend(inputs[0], inputs[0], number, NormBending(direction, 1 / single)))
        elif name in SPLITS and all(x.ndim == 4 and x.shape[0] == 1 for x in outputs) and _axis(args, kwargs) == 1:
            start = 0
            for x in outputs:
                map = Channels(start, x.shape[1], followed[0].shape[1])
                self.steps.append(_Note(map, inputs, self.number(x)))
                start += x.shape[1]
        else:
            inputs = self.spread(followed, inputs, single) if plain and name in SUMS else inputs
            made = RULES[name](self.follows, args, kwargs, single) if plain and name in RULES else None
            if made is None:
                for x in outputs:
                    self.steps.append(_Note(_Unknown(name), inputs, self.number(x)))
            else:
                self.steps.append(_Note(made, inputs, self.number(single)))
        return result

    def value(self, shape: tuple[int, ...]) -> int:
        """Number of a new value of `shape` (1, channels, height, width) that no tensor stands for."""
        self.shapes[count := len(self.shapes)] = tuple(shape[1:])  # type: ignore[assignment]
        return count

    def spread(self, tensors: Sequence[Tensor], inputs: tuple[int, ...], output: Tensor) -> tuple[int, ...]:
        """The values that are added or multiplied, in the shape of the result."""
        values = []
        for x, number in zip(tensors, inputs, strict=True):
            if x.ndim == 4 and x.shape[0] == 1 and x.shape != output.shape:
                map = Spread(tuple(x.shape[1:]), tuple(output.shape[1:]))  # type: ignore[arg-type]
                self.steps.append(_Note(map, (number,), number := self.value(output.shape)))
            values.append(number)
        return tuple(values)

    def product(self, name: str, factors: list[Tensor], inputs: tuple[int, ...], output: Tensor) -> None:
        """Two values multiplied, or the one divided by the other."""
        if any(x.ndim != 4 or x.shape[0] != 1 for x in factors):
            self.steps.append(_Note(_Unknown(name), inputs, self.number(output)))
            return
        if name == "div":
            inverse = self.value(factors[1].shape)
            self.steps.append(_Note(_Activation(torch.reciprocal, factors[1]), inputs[1:], inverse))
            factors, inputs = [factors[0], factors[1].reciprocal()], (inputs[0], inverse)
        inputs = self.spread(factors, inputs, output)
        a, b = (x.expand(output.shape) for x in factors)
        first, second = self.value(output.shape), self.value(output.shape)
        self.steps += [_Note(Scale(b), inputs[:1], first), _Note(Scale(a), inputs[1:], second)]
        self.steps.append(_Note(Sum((1.0, 1.0)), (first, second), number := self.number(output)))
        one = PointwiseBending(output.new_ones(1, 1, 1, 1))
        self.bends += [Bend(i, j, number, one) for i, j in (inputs, inputs[::-1])]


def _axis(args: Any, kwargs: Any) -> int:
    """The axis along which an image is split."""
    return int(args[2] if len(args) > 2 else kwargs.get("dim", 0)) % 4


def _euclidean(args: Any, x: Tensor) -> bool:
    """Whether a norm is the Euclidean one of a whole image."""
    order, axes = (*args[1:], *(2, None)[len(args) - 1 :])[:2]
    return x.shape[0] == 1 and order == 2 and (axes is None or {i % 4 for i in axes} >= {1, 2, 3})


def _call(func: Any, arguments: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Tensor:
    return func(x, *arguments, **kwargs)


def _needed(recorder: _Recorder, output: int, *, curved: bool) -> tuple[list[Step], list[Bend]]:
    """The steps the output depends on, activations replaced by their derivatives, and the second derivatives."""
    wanted, recorded, bends = {output}, [], []
    for step in reversed(recorder.steps):
        if step.output not in wanted:
            continue
        wanted |= set(step.inputs)
        made: Any = step.map
        if isinstance(made, _Unknown):
            raise UnknownOperation(f"the operation {made.name!r} is not one of those that can be recorded")
        if isinstance(made, _Activation):
            slope, curvature = _derivatives(made, curved=curved)
            made = Scale(slope)
            if curvature is not None:
                bends.append(Bend(step.inputs[0], step.inputs[0], step.output, PointwiseBending(curvature)))
        recorded.append(Step(made, step.inputs, step.output))
    if 0 not in wanted:
        raise UnknownOperation("the output does not depend on y")
    bends += [bend for bend in recorder.bends if curved and bend.output in wanted]
    return recorded[::-1], bends


def _derivatives(activation: _Activation, *, curved: bool) -> tuple[Tensor, Tensor | None]:
    """First and second derivatives of an activation; None for second ones that vanish or were not asked for."""
    with torch.enable_grad():
        x = activation.at.detach().requires_grad_()
        total = activation.function(x.clone()).sum()
        (slope,) = torch.autograd.grad(total, x, create_graph=curved)
        if not curved or not slope.requires_grad:
            return slope.detach(), None
        (curvature,) = torch.autograd.grad(slope.sum(), x, allow_unused=True)
    return slope.detach(), curvature if curvature is not None and bool(curvature.any()) else None


def _simplified(steps: list[Step], held: set[int]) -> list[Step]:
    """Factors that follow a convolution channel by channel are put into its weights, and factors in a row become one.

    The values `held` stay what they are.
    """
    uses = dict.fromkeys(held, 1)
    for step in steps:
        for number in step.inputs:
            uses[number] = uses.get(number, 0) + 1
    recorded: list[Step] = []
    made_by: dict[int, int] = {}
    for step in steps:
        before = recorded[made_by[step.inputs[0]]] if step.inputs[0] in made_by else None
        merged: Map | None = None
        if isinstance(step.map, Scale) and before is not None and uses[step.inputs[0]] == 1:
            factor = step.map.factor
            if isinstance(before.map, Scale):
                merged = Scale(before.map.factor * factor)
            elif isinstance(before.map, Convolution) and factor.shape[2:] == (1, 1):
                merged = before.map.prepared(factor.expand(1, before.map.weight.shape[0], 1, 1))
        if merged is not None and before is not None:
            position = made_by[step.inputs[0]]
            recorded[position] = Step(merged, before.inputs, step.output)
            made_by[step.output] = position
            continue
        made_by[step.output] = len(recorded)
        recorded.append(step)
    return [Step(_laid_out(step.map), step.inputs, step.output) for step in recorded]


def _laid_out(map: Map) -> Map:
    if isinstance(map, Convolution):
        return map.prepared() if map.flipped is None else map
    if isinstance(map, Scale):
        return Scale(map.factor.detach().contiguous(memory_format=torch.channels_last))
    return map
