import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gahb_theory.bases import flows
from gahb_theory.bases.flows import FlowBank

BANKS = [
    FlowBank(2),
    FlowBank(4),
    FlowBank(8),
    FlowBank(16),
    FlowBank(8, curvatures=(-0.4, 0.0, 0.4)),
    FlowBank(5),
    FlowBank(10),
    FlowBank(8, moments=2),
    FlowBank(8, curvatures=(0.0, 0.3), moments=3),
    FlowBank(10, moments=2),
]
EVERY = pytest.mark.parametrize("bank", BANKS, ids=str)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@EVERY
def test_every_flow_is_an_orthogonal_matrix(bank: FlowBank) -> None:
    b = bank.matrices()
    assert b.shape == (len(bank), bank.size**2, bank.size**2)
    assert float((b @ b.mT - torch.eye(bank.size**2, dtype=torch.float64)).abs().max()) < 1e-12


@EVERY
def test_transforms_equal_the_matrices_and_synthesis_is_the_inverse(bank: FlowBank) -> None:
    chosen = torch.arange(len(bank)).repeat(2)
    squares = normal(len(chosen), bank.size**2)
    c = bank.analysis(squares, chosen)
    torch.testing.assert_close(bank.synthesis(c, chosen), squares, rtol=0, atol=1e-12)
    # the two constructions agree up to the signs of the atoms
    expected = torch.einsum("npq,nq->np", bank.matrices()[chosen], squares)
    torch.testing.assert_close(c.abs(), expected.abs(), rtol=0, atol=1e-12)


@EVERY
def test_costs_equal_their_definition(bank: FlowBank) -> None:
    squares, threshold = normal(7, bank.size**2), torch.linspace(0.2, 2, 7, dtype=torch.float64)
    c = torch.einsum("fpq,nq->fnp", bank.matrices(), squares)
    expected = torch.minimum(c.square(), threshold.square()[:, None]).sum(dim=2)
    torch.testing.assert_close(bank.costs(squares, threshold), expected, rtol=1e-12, atol=0)


def test_costs_do_not_depend_on_how_the_work_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    squares, threshold = normal(50, 64).float(), torch.full((50,), 0.7)
    whole = FlowBank(8).costs(squares, threshold)
    for chunk in (64, 640, 64 * 70):
        monkeypatch.setattr(flows, "CHUNK", chunk)
        torch.testing.assert_close(FlowBank(8).costs(squares, threshold), whole, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("size", "count"), [(4, 10), (8, 30), (16, 62), (32, 126)])
def test_about_four_directions_for_each_pixel_of_the_side(size: int, count: int) -> None:
    bank = FlowBank(size)
    assert len(bank) == count
    assert bool((np.diff(bank.angles) > 0).all())
    assert bank.angles[0] > 0
    assert bank.angles[-1] < math.pi


@pytest.mark.parametrize("size", [4, 8, 16])
def test_the_bank_contains_its_transpose_and_its_rotation(size: int) -> None:
    bank = FlowBank(size)
    names = {tuple(name) for name in flows._sets(bank.orders)}
    assert len(names) == len(bank)
    grid = np.arange(size**2).reshape(size, size)
    for moved in (grid.T, np.rot90(grid), grid[::-1]):
        assert {tuple(name) for name in flows._sets(moved.ravel()[bank.orders])} == names


def test_sequences_with_the_same_name_have_the_same_atoms_up_to_signs() -> None:
    orders = np.array([[0, 1, 2, 3], [3, 2, 0, 1], [0, 2, 1, 3]])
    names = flows._sets(orders)
    assert names.tolist() == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 2, 1, 3]]
    x = normal(1, 4)
    a, b, c = (flows._haar(x[:, order])[0].abs().sort().values for order in torch.from_numpy(orders))
    torch.testing.assert_close(a, b)
    assert not torch.allclose(a, c)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_a_square_that_is_constant_along_a_flow_has_few_coefficients_and_gives_the_flow_away(size: int) -> None:
    bank = FlowBank(size)
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    step = math.pi / (4 * size)
    every = (np.arange(4 * size) + 0.5) * step
    names = flows._sets(np.argsort(flows._coordinates(size, every, np.zeros(4 * size))[1].round(6), axis=1))
    own = flows._sets(bank.orders)
    offsets = size * torch.linspace(-0.4, 0.4, 9, dtype=torch.float64)
    for i, angle in enumerate(every):
        across = math.cos(angle) * axis[:, None] - math.sin(angle) * axis[None, :]
        edges = torch.stack([(across > shift).double() for shift in offsets]).flatten(1)
        best = int(bank.costs(edges, torch.full((len(edges),), 0.05, dtype=torch.float64)).sum(dim=1).argmin())
        # angles that have the atoms of the best flow: one of them is the true angle or its neighbour
        alike = every[(names == own[best]).all(axis=1)]
        distance = np.abs((alike - angle + math.pi / 2) % math.pi - math.pi / 2)
        assert distance.min() <= step + 1e-9
        true = torch.full((len(edges),), int((own == names[i]).all(axis=1).argmax()))
        assert int((bank.analysis(edges, true).abs() > 1e-9).sum(dim=1).max()) <= 2 * math.log2(size) + 1


@pytest.mark.parametrize(("moments", "degree"), [(1, 0), (2, 1), (3, 2)])
def test_details_are_orthogonal_to_polynomials(moments: int, degree: int) -> None:
    bank = FlowBank(8, moments=moments)
    axis = (2 * torch.arange(8, dtype=torch.float64) - 7) / 8
    x, y = axis[None, :].expand(8, 8), axis[:, None].expand(8, 8)
    first = moments * (moments + 1) // 2
    for i in range(degree + 1):
        polynomial = (x**i * y ** (degree - i)).flatten()
        c = bank.matrices() @ polynomial
        assert float(c[:, first:].abs().max()) < 1e-12
    assert float((bank.matrices() @ (x ** (degree + 1)).flatten())[:, first:].abs().max()) > 0.01


def test_curved_flows_follow_a_parabola_better_than_straight_ones() -> None:
    axis = (2 * torch.arange(16, dtype=torch.float64) - 15) / 16
    square = (axis[:, None] > 0.1 + 0.4 * axis[None, :] ** 2).double().reshape(1, -1)
    threshold = torch.full((1,), 0.1, dtype=torch.float64)
    straight = FlowBank(16).costs(square, threshold).min()
    curved = FlowBank(16, curvatures=(-0.4, 0.0, 0.4)).costs(square, threshold).min()
    assert float(curved) < 0.7 * float(straight)


def test_bad_banks_are_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="size must be between 2 and 64, got 128"):
        FlowBank(128)
    with pytest.raises(ValueError, match="size must be between 2 and 20, got 32"):
        FlowBank(32, moments=2)
    with pytest.raises(ValueError, match="moments must be between 1 and 4, got 0"):
        FlowBank(8, moments=0)
    with pytest.raises(ValueError, match=r"curvatures must be finite numbers, at least one .*got 0; 0.0 is straight"):
        FlowBank(8, curvatures=())
