import math

import pytest
import torch
from torch import Tensor

from gahb_theory.bases import Wedgelets
from gahb_theory.bases.flows import FlowBank
from gahb_theory.bases.wedgelets import _best_line
from gahb_theory.images.fields import gaussian_series
from gahb_theory.images.raster import area_below
from gahb_theory.randomness import add_noise


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def edge(size: int, slope: float = 0.4, offset: float = 4.2) -> Tensor:
    u = torch.arange(size, dtype=torch.float64)
    return (u[:, None] > slope * u[None, :] + offset).double()[None, None]


def test_the_best_line_is_the_best_of_all() -> None:
    squares = normal(5, 16)
    best, line = _best_line(squares)
    energies = torch.full((5,), -torch.inf, dtype=torch.float64)
    for order in torch.from_numpy(FlowBank(4).orders):
        for cutoff in range(1, 16):
            a, b = squares[:, order[:cutoff]], squares[:, order[cutoff:]]
            energies = torch.maximum(energies, a.sum(1) ** 2 / cutoff + b.sum(1) ** 2 / (16 - cutoff))
    torch.testing.assert_close(best, energies)
    assert bool((line % 16 < 15).all())


def test_one_edge_takes_two_pieces_and_a_constant_image_one_for_each_large_square() -> None:
    partition = Wedgelets(sizes=(2, 4, 8, 16)).at(edge(16), 0.1)
    assert partition.pieces.tolist() == [2]
    torch.testing.assert_close(partition.project(edge(16)), edge(16))
    assert Wedgelets(sizes=(2, 4, 8)).at(torch.ones(1, 1, 16, 16), 0.1).pieces.tolist() == [4]
    assert Wedgelets(sizes=(2, 4, 8)).at(torch.ones(1, 3, 16, 16), 0.1).pieces.tolist() == [12]


def test_the_cost_is_the_best_of_all_partitions_of_a_small_image() -> None:
    # sizes 2 and 4 in a square of side 4: one leaf, or four leaves, each constant or cut by each line
    dictionary, threshold = Wedgelets(sizes=(2, 4), penalty=0.5), 0.6
    for seed in range(10):
        x = normal(1, 1, 4, 4, seed=seed)

        def leaf(square: Tensor) -> float:
            flat = square.reshape(1, -1)
            energy, one = float(flat.square().sum()), float(flat.sum() ** 2 / flat.numel())
            two = float(_best_line(flat)[0])
            return min(energy - one + threshold**2, energy - two + 2.5 * threshold**2)

        best = min(leaf(x[0, 0]), sum(leaf(x[0, 0, i : i + 2, j : j + 2]) for i in (0, 2) for j in (0, 2)))
        partition = dictionary.at(x, threshold)
        squares, halves = partition.labels[0, 0], 0
        error = float((partition.project(x) - x).square().sum())
        leaves = 1 if int(squares[0, 2]) in (0, 1) and int(squares[2, 2]) in (0, 1) else 4
        halves = int(partition.pieces) - leaves
        assert error + threshold**2 * (int(partition.pieces) + 0.5 * halves) == pytest.approx(best, rel=1e-10)


def test_projections_are_projections() -> None:
    x = torch.cat([edge(32), edge(32, slope=-0.7, offset=30)]).expand(2, 2, 32, 32) + 0.2 * normal(2, 2, 32, 32)
    partition = Wedgelets().at(x, 0.6)
    p = partition.project(x)
    torch.testing.assert_close(partition.project(p), p)
    y = normal(2, 2, 32, 32, seed=1)
    assert abs(float((partition.project(y) * (y - partition.project(y))).sum())) < 1e-10
    distinct = [len(image.unique()) for image in partition.labels]
    assert distinct == partition.pieces.tolist()


def test_the_oracle_risk_is_measured() -> None:
    x, sigma = edge(32, slope=0.3, offset=10) + 0.02 * normal(1, 1, 32, 32), 0.2
    partition = Wedgelets().at(x, sigma)
    n = 500
    labels = partition.labels.expand(n, 1, 32, 32)
    many = type(partition)(labels, partition.pieces.expand(n))
    errors = (many.project(add_noise(x.expand(n, 1, 32, 32), sigma, seed=3)) - x).square().sum((1, 2, 3))
    expected = float(partition.oracle_mse(x, sigma))
    assert float(errors.mean()) == pytest.approx(expected, abs=4 * float(errors.std()) / math.sqrt(n))


def test_a_few_more_pieces_follow_a_smooth_contour_much_better() -> None:
    heights = 256 * (0.5 + 0.13 * gaussian_series(1, 256, 4096, 3.0, seed=0, start=0, dtype=torch.float64))
    x = (area_below(heights, 256)[:, None] > 0.5).double()
    coarse, fine = (Wedgelets(sizes=(4, 8, 16, 32, 64)).at(x, t) for t in (16.0, 2.0))
    errors = [float((p.project(x) - x).square().sum()) for p in (coarse, fine)]
    assert int(coarse.pieces) < int(fine.pieces) < 1.5 * int(coarse.pieces)
    assert errors[1] < errors[0] / 5


def test_bad_use_is_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="sizes must be powers of two, got 3"):
        Wedgelets(sizes=(3, 6))
    with pytest.raises(ValueError, match=r"each be the double of the one before, .* got \(4, 16\)"):
        Wedgelets(sizes=(4, 16))
    with pytest.raises(ValueError, match="the largest square, 16, must divide both sides of the images, got 24 x 32"):
        Wedgelets().at(torch.zeros(1, 1, 24, 32), 0.1)
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        Wedgelets(penalty=-1.0)
    with pytest.raises(ValueError, match="partition is that of images of shape"):
        Wedgelets().at(torch.zeros(1, 1, 16, 16), 0.1).project(torch.zeros(2, 1, 16, 16))
