"""Conformance checks: whether an image class, a basis or a denoiser follows the interface of the library.

Each check raises an AssertionError that says which condition fails and by how much. `check_denoiser` returns the
properties it measured besides, the others nothing. Run them on your objects; the tests of this library run them over all
of its classes.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.generalization.properties import Behaviour, measure_behaviour
from gahb_theory.precision import full_precision
from gahb_theory.randomness import Component, step_generator

__all__ = ["check_basis", "check_denoiser", "check_image_class"]


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise AssertionError(text)


def _gradient(value: Tensor, z: Tensor) -> Tensor | None:
    return torch.autograd.grad(value, z, allow_unused=True)[0] if value.requires_grad else None


def check_image_class(image_class: object) -> None:
    """Check that an object samples images reproducibly, and that its ground truth fits them.

    Parameters
    ----------
    image_class
        Any object with `sample(n, seed=0, start=0)`; `scene`, `dimension` and `optimal_slope` are checked where present.

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> check_image_class(Disks(size=16))
    """
    name = type(image_class).__name__
    sample: Callable[..., Tensor] | None = getattr(image_class, "sample", None)
    _require(callable(sample), f"{name} must have a method sample(n, seed=0, start=0)")
    assert sample is not None
    state = torch.random.get_rng_state()
    x = sample(5, seed=3, start=2)
    _require(isinstance(x, Tensor), f"{name}.sample must return a torch tensor, got {type(x).__name__}")
    _require(x.ndim == 4 and x.shape[0] == 5, f"{name}.sample(5) must have shape (5, c, h, w), got {tuple(x.shape)}")
    _require(x.dtype == torch.float32, f"{name}.sample must be float32, got {x.dtype}")
    _require(bool(torch.isfinite(x).all()), f"{name}.sample must be finite")
    _require(
        bool((x > -1).all() and (x < 2).all()),
        f"{name}.sample must have intensities about [0, 1], got [{float(x.min()):.3g}, {float(x.max()):.3g}]",
    )
    _require(torch.equal(x, sample(5, seed=3, start=2)), f"{name}.sample must give the same images when called again")
    for i in (0, 4):
        one = sample(1, seed=3, start=2 + i)
        _require(
            torch.equal(one[0], x[i]),
            f"{name}: image {2 + i} of seed 3 differs between sample(5, start=2) and sample(1, start={2 + i}); "
            "an image must be a function of (seed, index) alone",
        )
    _require(not torch.equal(x, sample(5, seed=4, start=2)), f"{name}.sample must depend on the seed")
    _require(not torch.equal(x[:1], x[1:2]), f"{name}.sample must depend on the index")
    _require(
        torch.equal(state, torch.random.get_rng_state()),
        f"{name}.sample must not touch the global random generator of torch",
    )
    if callable(scene := getattr(image_class, "scene", None)):
        _require(
            torch.equal(scene(5, seed=3, start=2).images, x), f"{name}.scene(...).images must equal sample(...) exactly"
        )
    dimension, slope = getattr(image_class, "dimension", None), getattr(image_class, "optimal_slope", None)
    _require(dimension is None or 0 < dimension < x[0].numel(), f"{name}.dimension must be None or a positive integer")
    _require(slope is None or 0 < slope <= 1, f"{name}.optimal_slope must be None or lie in (0, 1], got {slope}")


@full_precision
def check_basis(basis: Basis, shape: Sequence[int] = (1, 16, 16), dtype: torch.dtype = torch.float64) -> None:
    """Check that a basis is linear, batched, orthonormal and differentiable, and its synthesis the adjoint of analysis.

    Parameters
    ----------
    basis
        A basis, possibly partial (fewer atoms than pixels).
    shape
        Images to try, (channels, height, width).
    dtype
        Precision to try; the tolerance is 1e-10 in float64, 1e-5 in float32.

    Examples
    --------
    >>> from gahb_theory.bases import DCT
    >>> check_basis(DCT())
    """
    name = type(basis).__name__
    _require(
        all(callable(getattr(basis, method, None)) for method in ("analysis", "synthesis")),
        f"{name} must have the methods analysis and synthesis",
    )
    channels, height, width = shape = validate.sizes(shape, 3)
    tolerance = 1e-10 if validate.floating(dtype) == torch.float64 else 1e-5
    d = channels * height * width
    generator = step_generator("cpu", Component.CHECKS)
    x = torch.randn(3, channels, height, width, generator=generator, dtype=dtype, device="cpu")
    c = basis.analysis(x)
    _require(
        c.ndim == 2 and c.shape[0] == 3, f"{name}.analysis must give (batch, k) coefficients, got {tuple(c.shape)}"
    )
    _require(c.dtype == dtype, f"{name}.analysis must keep the dtype {dtype}, got {c.dtype}")
    k = c.shape[1]
    r = torch.randn(3, k, generator=generator, dtype=dtype, device="cpu")
    back = basis.synthesis(r, shape)
    _require(back.shape == x.shape, f"{name}.synthesis must give images {tuple(x.shape)}, got {tuple(back.shape)}")

    def close(a: Tensor, b: Tensor, text: str) -> None:
        error = float((a - b).abs().max()) / max(1e-300, float(b.abs().max()))
        _require(error <= tolerance, f"{name}: {text}; the relative error is {error:.1e}, allowed is {tolerance:.0e}")

    close(basis.analysis(x[1:2]), c[1:2], "an image must have the same coefficients alone and in a batch")
    close(basis.analysis(2 * x[:1] - 3 * x[1:2]), 2 * c[:1] - 3 * c[1:2], "analysis must be linear")
    if not basis.is_orthonormal:
        close(basis.synthesis(c, shape), x, "a frame must be complete: synthesis(analysis(x)) = x")
    else:
        close((back * x).sum((1, 2, 3)), (r * c).sum(1), "synthesis must be the adjoint of analysis")
        _require(k <= d, f"{name}: an orthonormal basis has at most {d} atoms, got {k}")
        close(basis.analysis(back), r, "the atoms must be orthonormal: analysis(synthesis(c)) = c")
        if k == d:
            close(basis.synthesis(c, shape), x, "reconstruction must be perfect: synthesis(analysis(x)) = x")
            close(c.square().sum(1), x.square().sum((1, 2, 3)), "Parseval: the energies must be equal")
    z = x.clone().requires_grad_(True)
    gradient = _gradient(basis.synthesis(basis.analysis(z), shape).sum(), z)
    _require(gradient is not None, f"{name} must be differentiable")


@full_precision
def check_denoiser(
    f: Callable[[Tensor, float | Tensor], Tensor],
    shape: Sequence[int] = (1, 16, 16),
    dtype: torch.dtype = torch.float32,
) -> Behaviour:
    """Check that a denoiser preserves shape and dtype, treats each image alone, is deterministic and differentiable.

    Properties of the optimal denoiser, which the interface does not demand, are measured and returned: homogeneity,
    symmetry of the Jacobian, receptive field, hidden clamps, equivariance to shifts, flips and rotations.

    Parameters
    ----------
    f
        A callable f(y, sigma).
    shape
        Images to try, (channels, height, width).
    dtype
        Precision to try.

    Raises
    ------
    AssertionError
        If a condition fails.
    RuntimeError
        If a part of f is hidden from automatic differentiation, see `gahb_theory.jacobian`.

    Examples
    --------
    >>> behaviour = check_denoiser(lambda y, sigma: y / 2)
    >>> behaviour.homogeneity_error, behaviour.receptive_field
    (0.0, (1, 1))
    """
    name = type(f).__name__
    _require(callable(f), f"{name} must be a function that can be called as f(y, sigma)")
    shape, dtype = validate.sizes(shape, 3), validate.floating(dtype)
    if isinstance(f, nn.Module):
        training = any(module.training for module in f.modules())
        _require(not training, f"{name} or a part of it is in training mode; call .eval() before using a denoiser")
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    generator = step_generator("cpu", Component.CHECKS)
    y = (0.5 + 0.2 * torch.randn(3, *shape, generator=generator, dtype=torch.float64, device="cpu")).to(dtype)
    before = y.clone()
    out = f(y, 0.1)
    _require(isinstance(out, Tensor), f"{name} must return a tensor, got {type(out).__name__}")
    _require(out.shape == y.shape, f"{name} must return images of shape {tuple(y.shape)}, got {tuple(out.shape)}")
    _require(out.dtype == dtype, f"{name} must keep the dtype {dtype}, got {out.dtype}")
    _require(bool(torch.isfinite(out).all()), f"{name} must return finite values on finite images")
    _require(torch.equal(y, before), f"{name} must not change its input")
    scale = float(out.detach().abs().max()) + math.ulp(1.0)

    def close(a: Tensor, text: str) -> None:
        error = float((a - out).detach().abs().max()) / scale
        _require(error <= tolerance, f"{name}: {text}; the relative difference is {error:.1e}")

    close(f(y, 0.1), "the same input must give the same output")
    f(y.flip(-1), 0.1)
    close(f(y, 0.1), "the same input must give the same output, whatever was denoised before")
    alone = torch.cat([f(image, 0.1) for image in y[:, None]])
    close(alone, "an image must be denoised the same alone and in a batch")
    close(
        f(y, torch.full((3,), 0.1, dtype=dtype, device="cpu")), "sigma must be accepted as a tensor of shape (batch,)"
    )
    z = y.clone().requires_grad_(True)
    gradient = _gradient(f(z, 0.1).square().sum(), z)
    _require(
        gradient is not None,
        f"{name} must be differentiable in y (autograd found no path from output to input; "
        "difference_jacobian computes the Jacobian of a black box)",
    )
    assert gradient is not None
    _require(bool(torch.isfinite(gradient).all()), f"{name} must have finite gradients")
    return measure_behaviour(f, shape, 0.1, dtype)
