"""What every basis owes: perfect reconstruction, Parseval's equation, synthesis as adjoint, input dtype, gradients."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gahb_theory.bases import (
    DCT,
    PCA,
    Bandlet,
    Basis,
    BlockDCT,
    Fourier,
    PatchPCA,
    Pixels,
    Wavelet,
    WaveletPackets,
)


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@dataclass(frozen=True)
class Case:
    """A basis for images of a given shape, whose sides must be multiples of `step`."""

    build: Callable[[tuple[int, int, int]], Basis]
    step: int = 1


CASES = {
    "pixels": Case(lambda shape: Pixels()),
    "fourier": Case(lambda shape: Fourier()),
    "dct": Case(lambda shape: DCT()),
    "haar": Case(lambda shape: Wavelet("haar", levels=1), step=2),
    "db4": Case(lambda shape: Wavelet("db4"), step=2),
    "coif2-3": Case(lambda shape: Wavelet("coif2", levels=3), step=8),
    "bandlet": Case(lambda shape: Bandlet(sizes=(2, 4), levels=1, penalty=0.0).at(uniform(1, *shape), 0.3), step=8),
    "packets": Case(lambda shape: WaveletPackets("db2", levels=2).at(uniform(1, *shape), 0.3), step=8),
    "block-dct": Case(lambda shape: BlockDCT(2), step=2),
    "patch-pca": Case(lambda shape: PatchPCA.fit(uniform(20, *shape, seed=7), size=2), step=2),
    "pca-few": Case(lambda shape: PCA.fit(uniform(3, *shape, seed=7))),
    "pca-many": Case(lambda shape: PCA.fit(uniform(2 * math.prod(shape) + 1, *shape, seed=7))),
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
@settings(max_examples=12, deadline=None)
@given(n=st.integers(1, 3), c=st.integers(1, 3), h=st.integers(1, 9), w=st.integers(1, 9), seed=st.integers(0, 999))
def test_perfect_reconstruction_and_parseval(
    case: Case, dtype: torch.dtype, n: int, c: int, h: int, w: int, seed: int
) -> None:
    if case.step == 8:
        h, w = min(h, 3), min(w, 3)
    elif "pca" in str(case) or h * w > 40:
        h, w = min(h, 5), min(w, 5)
    shape = (c, h * case.step, w * case.step)
    x = uniform(n, *shape, seed=seed, dtype=dtype) - 0.5
    basis = case.build(shape)
    coefficients = basis.analysis(x)
    assert coefficients.shape == (n, math.prod(shape))
    assert coefficients.dtype == dtype
    tolerance = 3e-6 if dtype == torch.float32 else 1e-12  # rounding of sums over at most 1728 pixels
    torch.testing.assert_close(basis.synthesis(coefficients, shape), x, rtol=0, atol=tolerance)
    energy = x.square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(coefficients.square().sum(dim=1), energy, rtol=tolerance, atol=0)


@EVERY
def test_the_atoms_are_orthonormal_and_the_analysis_is_their_inner_product(case: Case) -> None:
    shape = (2, 8, 16) if case.step == 8 else (2, 6, 4)
    d = math.prod(shape)
    basis = case.build(shape)
    atoms = basis.synthesis(torch.eye(d, dtype=torch.float64), shape)
    flat = atoms.flatten(1)
    torch.testing.assert_close(flat @ flat.mT, torch.eye(d, dtype=torch.float64), rtol=0, atol=1e-12)
    x = uniform(3, *shape)
    torch.testing.assert_close(basis.analysis(x), x.flatten(1) @ flat.mT, rtol=0, atol=1e-12)
    torch.testing.assert_close(basis.atom_images([5, 1], shape, dtype=torch.float64), atoms[[5, 1]], rtol=0, atol=1e-12)


@EVERY
def test_gradients_are_the_adjoint(case: Case) -> None:
    shape = (1, 8, 8)
    basis = case.build(shape)
    x = uniform(2, *shape).requires_grad_()
    weights = uniform(2, 64, seed=1).requires_grad_()
    inner = (basis.analysis(x) * weights.detach()).sum()
    (gradient,) = torch.autograd.grad(inner, x)
    torch.testing.assert_close(gradient, basis.synthesis(weights.detach(), shape), rtol=0, atol=1e-12)
    inner = (basis.synthesis(weights, shape) * x.detach()).sum()
    (gradient,) = torch.autograd.grad(inner, weights)
    torch.testing.assert_close(gradient, basis.analysis(x.detach()), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # raised inside torch.func
@EVERY
def test_forward_derivatives(case: Case) -> None:
    shape = (1, 8, 8)
    basis = case.build(shape)
    x, v = uniform(2, *shape), uniform(2, *shape, seed=1)
    value, derivative = torch.func.jvp(basis.analysis, (x,), (v,))
    torch.testing.assert_close(value, basis.analysis(x))
    torch.testing.assert_close(derivative, basis.analysis(v))


@EVERY
def test_images_of_a_batch_do_not_mix(case: Case) -> None:
    shape = (2, 8, 8)
    basis = case.build(shape)
    x = uniform(3, *shape)
    one_by_one = torch.cat([basis.analysis(image[None]) for image in x])
    torch.testing.assert_close(basis.analysis(x), one_by_one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", [Pixels(), Fourier(), DCT(), Wavelet()], ids=repr)
def test_channels_follow_one_another(basis: Basis) -> None:
    x = uniform(2, 3, 8, 16)
    expected = torch.cat([basis.analysis(x[:, channel : channel + 1]) for channel in range(3)], dim=1)
    torch.testing.assert_close(basis.analysis(x), expected, rtol=0, atol=1e-12)


@EVERY
def test_a_fixed_basis_is_its_own_adaptation(case: Case) -> None:
    basis = case.build((1, 8, 8))
    assert basis.is_adapted
    if isinstance(basis, Bandlet | WaveletPackets):
        return
    assert basis.at(uniform(1, 1, 8, 8)) is basis


@pytest.mark.parametrize("basis", [Fourier(), DCT(), Wavelet()], ids=repr)
def test_a_first_call_in_inference_mode_does_not_spoil_later_gradients(basis: Basis) -> None:
    with torch.inference_mode():
        basis.analysis(uniform(1, 1, 44, 52))  # a size that no other test uses
    x = uniform(1, 1, 44, 52).requires_grad_()
    basis.analysis(x).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


class NoDoublePrecision(TorchDispatchMode):
    """Fails as soon as an operation makes a float64 tensor, which MPS could not hold."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = result if isinstance(result, tuple | list) else [result]
        doubles = (torch.float64, torch.complex128)
        assert not any(isinstance(t, Tensor) and t.dtype in doubles for t in tensors), func
        return result


@EVERY
def test_single_precision_stays_single(case: Case) -> None:
    shape = (1, 8, 8)
    basis, x = case.build(shape), uniform(2, *shape, dtype=torch.float32)
    if isinstance(basis, PCA | PatchPCA):
        images = uniform(3, *shape, dtype=torch.float32)
        basis = PatchPCA.fit(images, size=2) if isinstance(basis, PatchPCA) else type(basis).fit(images)
    basis.synthesis(basis.analysis(x), shape)  # fills the caches
    with NoDoublePrecision():
        assert basis.synthesis(basis.analysis(x), shape).dtype == torch.float32


@EVERY
def test_bad_images_are_refused(case: Case, unchecked: None) -> None:
    basis = case.build((1, 8, 8))
    with pytest.raises(ValueError, match=r"x must have shape .* got \(8, 8\); add the missing axes: x\[None, None\]"):
        basis.analysis(uniform(8, 8))
    with pytest.raises(ValueError, match="x must be finite, got 64 of 64"):
        basis.analysis(torch.full((1, 1, 8, 8), torch.nan))
    with pytest.raises(TypeError, match="8-bit images"):
        basis.analysis(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


@EVERY
def test_bad_coefficients_are_refused(case: Case, unchecked: None) -> None:
    basis = case.build((1, 8, 8))
    with pytest.raises(ValueError, match=r"c must have shape \(batch, k\).* use c\[None\]"):
        basis.synthesis(torch.zeros(64))
    with pytest.raises(ValueError, match="c must be finite"):
        basis.synthesis(torch.full((1, 64), torch.inf))
    with pytest.raises(TypeError, match=r"c must be floating point, got torch.int64; convert it with c.float\(\)"):
        basis.synthesis(torch.zeros(1, 64, dtype=torch.int64))
    with pytest.raises(TypeError, match="c must be a torch tensor"):
        basis.synthesis([[0.0]])
    with pytest.raises(ValueError, match=r"shape must be \(channels, height, width\) with 64 pixels in all"):
        basis.synthesis(torch.zeros(1, 64), (1, 8, 9))


@pytest.mark.parametrize("basis", [Pixels(), Fourier(), DCT(), Wavelet()], ids=repr)
def test_a_shape_is_asked_for_where_it_cannot_be_guessed(basis: Basis, unchecked: None) -> None:
    with pytest.raises(ValueError, match="24 coefficients are not a square grey image; give shape="):
        basis.synthesis(torch.zeros(1, 24))
