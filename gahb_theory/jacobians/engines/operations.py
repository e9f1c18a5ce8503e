"""Which linear map an operation of torch is, for each operation that can be recorded.

A rule gets the arguments and the result of an operation, and a function that says which tensors depend on y. It returns
the map from the tensors that do to the result, constants dropped, or None if the operation is not linear in them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gahb_theory.jacobians.engines.global_maps import Mean, Spread
from gahb_theory.jacobians.engines.linear_maps import (
    Channels,
    Concatenation,
    Convolution,
    Map,
    Placement,
    Pooling,
    Scale,
    Sum,
    Transposed,
    Upsampling,
)
from gahb_theory.jacobians.engines.rearrangements import Joined, Resampling, Selection, Shuffle, Unshuffle

__all__ = ["CONSTANT", "POINTWISE", "RULES", "STAIRS"]

POINTWISE = frozenset(
    """
    relu leaky_relu _prelu_kernel prelu hardtanh clamp clamp_min clamp_max threshold abs elu celu selu silu gelu mish
    hardswish hardsigmoid softplus tanh sigmoid sin cos exp log sqrt rsqrt square pow reciprocal
    """.split()  # noqa: SIM905
)
"""Operations on one image that act on each number alone; their derivatives are taken from torch."""
CONSTANT = frozenset(
    "full_like zeros_like ones_like empty_like rand_like randn_like new_zeros new_ones new_full new_empty".split()  # noqa: SIM905
)
"""Operations that take from an image nothing but its shape."""
STAIRS = frozenset(
    """
    round floor ceil trunc fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
    _fake_quantize_per_tensor_affine_cachemask_tensor_qparams quantize_per_tensor
    """.split()  # noqa: SIM905
)
"""Operations that are flat between jumps; torch gives them the derivative 0, or that of the identity."""
SAME = ("clone", "alias", "contiguous", "lift_fresh", "dropout", "view", "_unsafe_view", "_to_copy")

Follows = Callable[[Any], bool]
Rule = Callable[[Follows, Any, Any, Tensor], Map | None]


def _convolution(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, weight, _, stride, padding, dilation, transposed, output_padding, groups = args
    if follows(weight) or not follows(x) or weight.ndim != 4:
        return None
    stride, padding, dilation, output_padding = (
        tuple(value) * (2 // len(value)) for value in (stride, padding, dilation, output_padding)
    )
    size = (x.shape[2], x.shape[3])
    if transposed:
        return Transposed(weight, size, stride, padding, dilation, output_padding, groups)
    return Convolution(weight, size, stride, padding, dilation, groups)


def _sum(sign: float) -> Rule:
    def rule(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
        weights = [1.0, sign * float(kwargs.get("alpha", 1))]
        variable = [(w, x) for w, x in zip(weights, args[:2], strict=True) if follows(x)]
        alike = all(x.shape == output.shape or (x.ndim == 4 and x.shape[0] == 1) for _, x in variable)
        return Sum(tuple(w for w, _ in variable)) if alike else None  # smaller ones were spread out before

    return rule


def _reversed_difference(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    return (
        Sum((-float(args[2] if len(args) > 2 else kwargs.get("alpha", 1)),)) if args[0].shape == output.shape else None
    )


def _product(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, factor = args if follows(args[0]) else args[::-1]
    return _scale(x, factor, output) if not follows(factor) else None


def _quotient(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, divisor = args
    if follows(divisor) or kwargs:
        return None
    return _scale(x, 1 / torch.as_tensor(divisor, dtype=x.dtype, device=x.device), output)


def _scale(x: Tensor, factor: Any, output: Tensor) -> Map | None:
    if x.shape != output.shape:
        return None
    factor = torch.as_tensor(factor, dtype=x.dtype, device=x.device).detach()
    return Scale(factor.reshape((1,) * (4 - factor.ndim) + factor.shape).clone())


def _normalisation(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, weight, mean, variance = args[0], args[1], args[3], args[4]
    training = len(args) > 7 and args[5]  # the form for evaluation has no such argument
    if training or mean is None or variance is None:
        return None
    gain = torch.rsqrt(variance + args[-1])
    return _scale(x, (gain if weight is None else gain * weight).reshape(1, -1, 1, 1), output)


def _concatenation(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    tensors, axis = args[0], args[1] if len(args) > 1 else 0
    if axis % 4 != 1:
        return None
    if all(follows(x) for x in tensors):
        return Concatenation(tuple(x.shape[1] for x in tensors))
    spans, start = [], 0
    for x in tensors:
        spans += [(start, start + x.shape[1])] if follows(x) else []
        start += x.shape[1]
    return Joined(tuple(spans), start)


def _slice(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    given: tuple[Any, ...] = (*args, *(0, None, None, 1)[len(args) - 1 :])
    x, axis, start, _, step = given
    if step != 1:
        return None
    axis, length = axis % 4, x.shape[axis]
    start = min(max(0 if start is None else start + length * (start < 0), 0), length)
    if axis == 0 or x.shape == output.shape:
        return Sum((1.0,))
    if axis == 1:
        return Channels(start, output.shape[1], length)
    after = start + output.shape[axis] - length
    before, behind = ((-start, 0), (after, 0)) if axis == 2 else ((0, -start), (0, after))
    return Placement(before, behind, (x.shape[2], x.shape[3]))


def _padding(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, pads = args[0], [*args[1], 0, 0, 0, 0][: max(4, len(args[1]))]
    return Placement((pads[2], pads[0]), (pads[3], pads[1]), tuple(x.shape[2:])) if len(pads) == 4 else None


def _pooling(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    given: tuple[Any, ...] = (*args, *([], [0, 0], False, True, None)[len(args) - 2 :])
    x, kernel, stride, padding, ceil_mode, counted, divisor = given
    kernel = tuple(kernel) * (2 // len(kernel))
    stride = tuple(stride) * (2 // len(stride)) if stride else kernel
    if ceil_mode or divisor is not None or (any(padding) and not counted):
        return None
    if kernel == stride and not any(padding) and all(n % k == 0 for n, k in zip(x.shape[2:], kernel, strict=True)):
        return Pooling(kernel)
    channels = x.shape[1]
    weight = torch.full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1]), dtype=x.dtype, device=x.device)
    return Convolution(weight, tuple(x.shape[2:]), stride, tuple(padding) * (2 // len(padding)), (1, 1), channels)


def _mean(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, axes, keep = (*args, None, False)[:3]
    return Mean((x.shape[2], x.shape[3])) if keep and axes is not None and {i % 4 for i in axes} == {2, 3} else None


def _choice(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    condition, x, other = args
    if follows(x) == follows(other):
        return None
    return _scale(*((x, condition) if follows(x) else (other, ~condition)), output)


def _upsampling(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    height, width = args[0].shape[2:]
    factors = output.shape[2] // height, output.shape[3] // width
    exact = (height * factors[0], width * factors[1]) == tuple(output.shape[2:])
    return Upsampling(factors) if exact else None


def _same(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    return Sum((1.0,)) if args[0].shape == output.shape else None


def _expansion(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x = args[0]
    if x.ndim != 4 or x.shape[0] != 1 or output.shape[0] != 1:
        return None
    (_, c, h, w), (_, channels, height, width) = x.shape, output.shape
    return Sum((1.0,)) if x.shape == output.shape else Spread((c, h, w), (channels, height, width))


def _shuffling(kind: type[Shuffle] | type[Unshuffle]) -> Rule:
    return lambda follows, args, kwargs, output: kind(args[1])


def _interpolation(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    x, _, corners, *scales = args
    made = [
        torch.ops.aten.upsample_linear1d(_identity(n, x), [m], corners, scale)[0].mT
        for n, m, scale in zip(x.shape[2:], output.shape[2:], (*scales, None, None)[:2], strict=True)
    ]
    return Resampling(*made)


def _border(mode: str) -> Rule:
    def rule(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
        x, (left, right, top, bottom) = args[:2]
        made = [
            functional.pad(_identity(n, x), pads, mode=mode)[0].mT
            for n, pads in zip(x.shape[2:], ((top, bottom), (left, right)), strict=True)
        ]
        return Resampling(*made)

    return rule


def _identity(n: int, like: Tensor) -> Tensor:
    return torch.eye(n, dtype=like.dtype, device=like.device)[None]


def _maximum(follows: Follows, args: Any, kwargs: Any, output: Tensor) -> Map | None:
    _, places = torch.ops.aten.max_pool2d_with_indices(*args, **kwargs)
    return Selection(places, tuple(args[0].shape[2:]))


RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "add": _sum(1.0),
    "sub": _sum(-1.0),
    "rsub": _reversed_difference,
    "neg": lambda follows, args, kwargs, output: Sum((-1.0,)),
    "mul": _product,
    "div": _quotient,
    "native_batch_norm": _normalisation,
    "cudnn_batch_norm": _normalisation,
    "_native_batch_norm_legit_no_training": _normalisation,
    "cat": _concatenation,
    "slice": _slice,
    "constant_pad_nd": _padding,
    "avg_pool2d": _pooling,
    "mean": _mean,
    "where": _choice,
    "upsample_nearest2d": _upsampling,
    "upsample_bilinear2d": _interpolation,
    "pixel_shuffle": _shuffling(Shuffle),
    "pixel_unshuffle": _shuffling(Unshuffle),
    "replication_pad2d": _border("replicate"),
    "reflection_pad2d": _border("reflect"),
    "max_pool2d_with_indices": _maximum,
    "expand": _expansion,
    **dict.fromkeys(SAME, _same),
}
