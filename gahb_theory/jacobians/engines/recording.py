"""The derivative of a denoiser at y, recorded as a graph of linear maps while the denoiser runs once.

A network of convolutions and ReLUs is linear once the signs of its activations are held: with masks D_l (0 or 1) taken at
y, f(y) = W_L D_{L-1} W_{L-1} ... D_1 W_1 y and J = W_L D_{L-1} ... W_1 (Mohan, Kadkhodaie, Simoncelli and
Fernandez-Granda, ICLR 2020, equation 5; Balestriero and Baraniuk 2018). The same holds to first order for every
activation that acts on each number alone: D is then its derivative, and J the product.

`record` watches the operations that torch executes, below the level of modules, so that neither the class of the network
nor the way it is written matters. An operation it does not know is remembered with its name, and only stops it if the
output depends on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.engines.linear_maps import Convolution, Map, Scale, Sum
from gahb_theory.jacobians.engines.operations import CONSTANT, POINTWISE, RULES, STAIRS
from gahb_theory.precision import plain_attention

__all__ = ["Recording", "Step", "UnknownOperation", "record"]


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
    """

    steps: tuple[Step, ...]
    output: int
    shapes: dict[int, tuple[int, int, int]]


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


def record(f: Denoiser, y: Tensor, sigma: float, stairs: set[str] | None = None) -> Recording:
    """The derivative of f(., sigma) at one image `y`, shape (1, c, h, w).

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
    return Recording(tuple(_simplified(_needed(recorder.steps, number))), number, recorder.shapes)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Numbers every tensor that depends on y, and notes how it was made."""

    def __init__(self, stairs: set[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stairs = stairs
        self.numbers: Any = WeakTensorKeyDictionary()
        self.steps: list[_Note] = []
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
        held = [x.clone() for x in args[:2]] if len(followed) == 2 and name == "mul" else None
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
        elif plain and held is not None and held[0].shape == held[1].shape == single.shape:
            first, second = (len(self.shapes) + i for i in (0, 1))
            self.shapes[first] = self.shapes[second] = tuple(single.shape[1:])  # type: ignore[assignment]
            self.steps += [_Note(Scale(held[1]), inputs[:1], first), _Note(Scale(held[0]), inputs[1:], second)]
            self.steps.append(_Note(Sum((1.0, 1.0)), (first, second), self.number(single)))
        else:
            made = RULES[name](self.follows, args, kwargs, single) if plain and name in RULES else None
            if made is None:
                for x in outputs:
                    self.steps.append(_Note(_Unknown(name), inputs, self.number(x)))
            else:
                self.steps.append(_Note(made, inputs, self.number(single)))
        return result


def _call(func: Any, arguments: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Tensor:
    return func(x, *arguments, **kwargs)


def _needed(steps: list[_Note], output: int) -> list[Step]:
    """The steps the output depends on, activations replaced by their derivatives."""
    wanted, recorded = {output}, []
    for step in reversed(steps):
        if step.output not in wanted:
            continue
        wanted |= set(step.inputs)
        made: Any = step.map
        if isinstance(made, _Unknown):
            raise UnknownOperation(f"the operation {made.name!r} is not one of those that can be recorded")
        if isinstance(made, _Activation):
            with torch.enable_grad():
                x = made.at.requires_grad_()
                (slope,) = torch.autograd.grad(made.function(x.clone()).sum(), x)
            made = Scale(slope)
        recorded.append(Step(made, step.inputs, step.output))
    if 0 not in wanted:
        raise UnknownOperation("the output does not depend on y")
    return recorded[::-1]


def _simplified(steps: list[Step]) -> list[Step]:
    """Factors that follow a convolution channel by channel are put into its weights, and factors in a row become one."""
    uses: dict[int, int] = {}
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
