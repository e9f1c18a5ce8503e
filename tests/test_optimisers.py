"""Orthogonalised momentum: the polar factor, one step by hand, and which parameters it takes."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.training.optimisers import Muon, adam, is_kernel, orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (16, 72), (72, 16)])
def test_orthogonalise_keeps_the_singular_vectors_and_evens_the_values(shape, generator):
    matrix = torch.randn(shape, generator=generator, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    matrix = u @ torch.diag(torch.logspace(0, -1.5, len(s), dtype=torch.float64)) @ vh
    inner = u.mT @ orthogonalise(matrix) @ vh.mT
    values = inner.diagonal()
    assert float((inner - torch.diag(values)).abs().max()) < 1e-12, "an odd polynomial of the matrix has its vectors"
    # five steps of the polynomial, which does not converge to 1 but to a band around it
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3
    torch.testing.assert_close(orthogonalise(7 * matrix), orthogonalise(matrix), rtol=1e-9, atol=0)


def test_no_gradient_is_no_step():
    assert torch.equal(orthogonalise(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_two_steps_by_hand(generator):
    kernel = torch.nn.Parameter(torch.zeros(16, 8, 1, 1, dtype=torch.float64))
    g, h = torch.randn(2, 16, 8, 1, 1, generator=generator, dtype=torch.float64)
    optimiser = Muon([kernel], lr=0.1, momentum=0.9)
    expected = torch.zeros(16, 8, dtype=torch.float64)
    for gradient, ahead in ((g, 1.9 * g), (h, h + 0.9 * (0.9 * g + h))):
        kernel.grad = gradient.clone()
        optimiser.step()
        expected -= 0.1 * 2**0.5 * orthogonalise(ahead.flatten(1))
        torch.testing.assert_close(kernel.detach().flatten(1), expected, rtol=1e-12, atol=0)
    before = kernel.detach().clone()
    kernel.grad = None
    optimiser.step()
    assert torch.equal(kernel, before)


def test_a_badly_conditioned_quadratic_is_solved_sooner_than_by_adam(generator):
    """Half ||A W - B||^2 with singular values of A down to 0.03: why kernels are given to it."""
    u, _, vh = torch.linalg.svd(torch.randn(16, 16, generator=generator))
    a = u @ torch.diag(torch.logspace(0, -1.5, 16)) @ vh
    target = torch.linalg.qr(torch.randn(16, 16, generator=generator)).Q.reshape(16, 16, 1, 1)
    lost = []
    for make in (lambda w: Muon([w], 0.05), lambda w: adam([w], 0.05)):
        w = torch.nn.Parameter(torch.zeros(16, 16, 1, 1))
        optimiser = make(w)
        for step in range(100):
            for group in optimiser.param_groups:
                group["lr"] = 0.05 * (1 - step / 100)
            optimiser.zero_grad()
            loss = (a @ (w - target).flatten(1)).square().sum() / 2
            loss.backward()
            optimiser.step()
        lost.append(float((w.detach() - target).norm()))
    assert lost[0] < 0.5 * lost[1]


def test_which_parameters_are_kernels():
    names = [name for name, p in gt.UNet(8, 1).named_parameters() if is_kernel(p)]
    assert "encoder.0.0.weight" not in names, "the first layer has one channel in"
    assert "upsample.0.weight" in names
    assert "middle.0.weight" in names
    assert not any("gamma" in name for name in names)
    assert not any(is_kernel(p) for p in gt.UNet(4, 1).parameters() if min(p.shape[:2]) < 8)
    assert not any(is_kernel(p) for p in gt.DiT(16, 4, 16, 2, 2).parameters())
