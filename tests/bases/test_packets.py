import itertools

import pytest
import pywt
import torch
from torch import Tensor

from gahb_theory.bases import Pixels, Wavelet, WaveletPackets
from gahb_theory.testing import check_basis


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5


def texture(size: int) -> Tensor:
    u = torch.arange(size, dtype=torch.float64)
    return torch.cos(2.3 * u[:, None] + 1.1 * u[None, :])[None, None]


def kept(c: Tensor, threshold: float) -> Tensor:
    return c.square().clamp(max=threshold**2).sum(dim=1)


def test_the_complete_tree_equals_pywavelets() -> None:
    x = uniform(1, 1, 16, 16)
    every = tuple(torch.ones(1, 1, 2**level, 2**level, dtype=torch.bool) for level in range(2))
    c = WaveletPackets("db2", levels=2, splits=every).analysis(x).reshape(16, 16)
    tree = pywt.WaveletPacket2D(x[0, 0].numpy(), "db2", mode="periodization", maxlevel=2)
    for path, (row, column) in {"aa": (0, 0), "dd": (12, 12), "da": (8, 8), "ad": (4, 4)}.items():
        expected = torch.from_numpy(tree[path].data)
        torch.testing.assert_close(c[row : row + 4, column : column + 4], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_is_the_best_of_all(seed: int) -> None:
    x, threshold = uniform(1, 1, 16, 16, seed=seed) + 0.5 * texture(16), 0.4
    best = WaveletPackets("db2", levels=2).at(x, threshold)
    costs = [float(kept(x.flatten(1), threshold))]
    for quarters in itertools.product([False, True], repeat=4):
        splits = (torch.ones(1, 1, 1, 1, dtype=torch.bool), torch.tensor(quarters).reshape(1, 1, 2, 2))
        costs.append(float(kept(WaveletPackets("db2", levels=2, splits=splits).analysis(x), threshold)))
    assert float(kept(best.analysis(x), threshold)) == pytest.approx(min(costs), rel=1e-12)


def test_never_worse_than_wavelets_or_pixels_and_much_better_on_a_texture() -> None:
    x = torch.cat([texture(32), uniform(1, 1, 32, 32), texture(32) * (uniform(1, 1, 32, 32) > 0)])
    for threshold in (0.05, 0.3, 1.0):
        packets = kept(WaveletPackets(levels=3).at(x, threshold).analysis(x), threshold)
        for basis in (Wavelet("db4", levels=3), Pixels()):
            assert bool((packets <= kept(basis.analysis(x), threshold) * (1 + 1e-12)).all())
    assert float(packets[0]) < 0.6 * float(kept(Wavelet("db4", levels=3).analysis(x), 1.0)[0])


def test_a_batch_of_colour_images() -> None:
    x = torch.cat([texture(32).expand(1, 2, 32, 32) * 2, uniform(1, 2, 32, 32)])
    basis = WaveletPackets(levels=3).at(x, torch.tensor([0.2, 0.4], dtype=torch.float64))
    c = basis.analysis(x)
    torch.testing.assert_close(basis.synthesis(c, (2, 32, 32)), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(WaveletPackets(levels=3).at(x[1:], 0.4).analysis(x[1:]), c[1:], rtol=0, atol=1e-12)
    check_basis(WaveletPackets(levels=3).at(texture(32), 0.2), (1, 32, 32))


def test_bad_use_is_refused(unchecked: None) -> None:
    with pytest.raises(RuntimeError, match="have no best basis yet; adapt them to images with at"):
        WaveletPackets().analysis(texture(32))
    with pytest.raises(ValueError, match="adapted for a threshold T"):
        WaveletPackets().at(texture(32))
    with pytest.raises(ValueError, match="3 levels need sides divisible by 8"):
        WaveletPackets().at(texture(12), 0.1)
    two = WaveletPackets().at(texture(32).expand(2, 1, 32, 32), 0.1)
    with pytest.raises(ValueError, match="adapted to 2 images of 1 channels, got 3 images of 1"):
        two.analysis(texture(32).expand(3, 1, 32, 32))
