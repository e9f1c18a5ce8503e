import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gahb_theory.bases import Bandlet, Wavelet, bandlet, flows
from gahb_theory.bases.geometry import Geometry
from gahb_theory.denoisers import ShrinkageDenoiser
from gahb_theory.images.fields import gaussian_fields, gaussian_series
from gahb_theory.images.raster import area_below
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import FixedGains, Hard
from gahb_theory.testing import check_basis
from gahb_theory.theory.exact_risks import oracle_mse, shrinkage_mse


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def edge(height: int, width: int, slope: float = 0.37, offset: float = 0.31) -> Tensor:
    """A straight edge of height 1, by area coverage of a finer grid."""
    rows = (torch.arange(4 * height, dtype=torch.float64) + 0.5) / (4 * height)
    columns = (torch.arange(4 * width, dtype=torch.float64) + 0.5) / (4 * width)
    fine = (rows[:, None] > slope * columns[None, :] + offset).double()
    return torch.nn.functional.avg_pool2d(fine[None, None], 4)


def cartoon(size: int, seed: int, n: int = 1, background: float = 0.15) -> Tensor:
    """C^2 images with a C^2 contour, jump 1, blurred by 0.7 pixels."""
    heights = 0.5 + 0.13 * gaussian_series(n, size, 16 * size, 2.0, seed=seed, start=0, dtype=torch.float64)
    m = area_below(size * heights, size)[:, None]
    b = background * gaussian_fields(n, size, 2.0, seed=seed, start=0, dtype=torch.float64)
    x = m * (1 + b[:, :1]) + (1 - m) * b[:, 1:]
    kernel = torch.exp(-(torch.arange(-4.0, 5, dtype=torch.float64) ** 2) / (2 * 0.7**2))
    kernel = kernel / kernel.sum()
    padded = torch.nn.functional.pad(x, (4, 4, 4, 4), mode="replicate")
    rows = torch.nn.functional.conv2d(padded, kernel.reshape(1, 1, 9, 1))
    return torch.nn.functional.conv2d(rows, kernel.reshape(1, 1, 1, 9))


def kept(c: Tensor, threshold: float) -> Tensor:
    return c.square().clamp(max=threshold**2).sum(dim=1)


def ratio(x: Tensor, threshold: float) -> float:
    c, w = Bandlet().at(x, threshold).analysis(x), Wavelet("db4").analysis(x)
    return float(kept(c, threshold).mean() / kept(w, threshold).mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
@pytest.mark.parametrize(
    "sides", [(64, 64), (80, 80), (128, 128), (256, 256), (512, 512), (96, 160), (64, 256), (40, 80)]
)
def test_parseval_and_reconstruction(sides: tuple[int, int], dtype: torch.dtype) -> None:
    x = (edge(*sides) + 0.1 * normal(1, 1, *sides)).to(dtype)
    basis = Bandlet().at(x, threshold=0.3)
    assert int(basis.geometry.directional_leaves) > 3
    c = basis.analysis(x)
    assert c.dtype == dtype
    single = dtype == torch.float32
    assert abs(float(c.square().sum() / x.square().sum()) - 1) < (1e-6 if single else 1e-12)
    assert float((basis.synthesis(c) - x).abs().max()) < (1e-5 if single else 1e-12)


@pytest.mark.parametrize(
    "dictionary",
    [
        Bandlet(),
        Bandlet("haar", sizes=(2, 4), levels=2),
        Bandlet(sizes=(4, 8), curvatures=(-0.3, 0.0, 0.3)),
        Bandlet(sizes=(4, 8), moments=2),
        Bandlet(sizes=(3, 6), levels=1),
    ],
    ids=["default", "haar", "curved", "alpert", "not-dyadic"],
)
def test_keeps_the_promises_of_a_basis(dictionary: Bandlet) -> None:
    side = 24 if dictionary.sizes[0] == 3 else 32
    adapted = dictionary.at(edge(side, side), threshold=0.05)
    assert int(adapted.geometry.directional_leaves) > 0
    check_basis(adapted, (1, side, side))
    check_basis(adapted, (1, side, side), torch.float32)


def test_a_batch_of_colour_images_has_a_basis_for_each_channel_of_each_image() -> None:
    x = torch.cat([edge(32, 64, slope=s).expand(1, 2, 32, 64) + 0.1 * normal(1, 2, 32, 64) for s in (0.2, -0.5, 1.3)])
    threshold = torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64)
    basis = Bandlet(sizes=(4, 8)).at(x, threshold)
    c = basis.analysis(x)
    torch.testing.assert_close(basis.synthesis(c), x, rtol=0, atol=1e-12)
    for i in range(3):
        alone = Bandlet(sizes=(4, 8)).at(x[i : i + 1], float(threshold[i]))
        torch.testing.assert_close(alone.analysis(x[i : i + 1]), c[i : i + 1], rtol=0, atol=1e-12)
        torch.testing.assert_close(basis[i].analysis(x[i : i + 1]), c[i : i + 1], rtol=0, atol=1e-12)
        assert list(basis.geometry.leaves(i)) == list(alone.geometry.leaves())
    assert basis.geometry.bits.tolist() == [int(basis[i].geometry.bits) for i in range(3)]


def test_white_noise_stays_white_in_a_geometry_of_another_image() -> None:
    basis = Bandlet("db2", sizes=(2, 4), levels=2).at(edge(16, 16), threshold=0.05)
    assert int(basis.geometry.directional_leaves) > 0
    c = basis.analysis(normal(20000, 1, 16, 16, dtype=torch.float32))
    correlation = c.mT @ c / len(c)
    assert abs(float(correlation.diagonal().mean()) - 1) < 0.01
    # standard errors are 0.007 and 0.01: five of them
    assert float((correlation - torch.diag(correlation.diagonal())).abs().max()) < 0.05
    assert float((correlation.diagonal() - 1).abs().max()) < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_the_geometry_is_the_best_of_all_on_a_subband_of_8_by_8(seed: int) -> None:
    dictionary = Bandlet("haar", sizes=(4, 8), levels=1, penalty=0.05)
    x, threshold = normal(1, 1, 16, 16, seed=seed) + 3 * edge(16, 16, slope=0.3 * seed), 0.9
    basis = dictionary.at(x, threshold)
    layout = Wavelet("haar", 1).analysis(x).reshape(x.shape)
    bands = bandlet._subbands(layout, 1)
    unit = threshold**2

    def candidates(square: Tensor) -> list[float]:
        """The price of a square as a leaf, for the identity and for each flow."""
        size = square.shape[-1]
        bank = flows.FlowBank(size)
        turned = torch.cat([square.reshape(1, -1), bank.matrices() @ square.flatten()])
        prices = torch.tensor([0.0] + [0.05 * bank.price] * len(bank), dtype=torch.float64)
        return (turned.square().clamp(max=unit).sum(dim=1) + unit * prices).tolist()

    total = float(kept(layout[0, 0, :8, :8].reshape(1, -1), threshold))
    for band in bands[0, 0]:
        corners = [candidates(band[i : i + 4, j : j + 4]) for i in (0, 4) for j in (0, 4)]
        # all 11^4 assignments of four small squares, and all 31 of the large one
        sums = torch.zeros(1, dtype=torch.float64)
        for corner in corners:
            sums = (sums[:, None] + torch.tensor(corner, dtype=torch.float64)).flatten()
        total += min(float(sums.min()) + 0.05 * 2 * unit, min(candidates(band)))
    assert float(basis.cost(x, threshold)) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("threshold", [0.03, 0.1, 0.5, 2.0])
def test_never_worse_than_the_wavelets(threshold: float) -> None:
    x = torch.cat([edge(64, 64), cartoon(64, 3), normal(1, 1, 64, 64), edge(64, 64) + 0.2 * normal(1, 1, 64, 64)])
    for wavelet in ("db4", "haar"):
        adapted = Bandlet(wavelet).at(x, threshold)
        wavelets = kept(Wavelet(wavelet).analysis(x), threshold)
        cost = adapted.cost(x, threshold)
        assert bool((cost <= wavelets * (1 + 1e-12)).all())
        assert bool((kept(adapted.analysis(x), threshold) <= cost).all())


def moved(x: Tensor, how: str) -> Tensor:
    return x.mT if how == "transpose" else torch.rot90(x, 1, (2, 3)) if how == "rotation" else x.flip(3)


@pytest.mark.parametrize(
    ("how", "wavelet"), [("transpose", "db4"), ("transpose", "haar"), ("rotation", "haar"), ("mirror", "haar")]
)
def test_the_cost_does_not_change_when_the_image_is_turned(how: str, wavelet: str) -> None:
    x, threshold = torch.cat([cartoon(64, 1), edge(64, 64) + 0.1 * normal(1, 1, 64, 64)]), 0.15
    cost = Bandlet(wavelet).at(x, threshold).cost(x, threshold)
    turned = moved(x, how).contiguous()
    torch.testing.assert_close(Bandlet(wavelet).at(turned, threshold).cost(turned, threshold), cost, rtol=1e-10, atol=0)


@pytest.mark.parametrize(("threshold", "expected"), [(0.25, 0.56), (0.12, 0.56)])
def test_the_ratio_to_wavelets_on_a_straight_edge(threshold: float, expected: float) -> None:
    heights = 256 * (0.37 * (torch.arange(4096, dtype=torch.float64) + 0.5) / 4096 + 0.31)
    x = area_below(heights[None], 256)[:, None]
    assert ratio(x, threshold) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("threshold", "expected"), [(0.25, 0.83), (0.12, 0.86)])
def test_the_ratio_to_wavelets_on_a_disk(threshold: float, expected: float) -> None:
    grid = (torch.arange(2048, dtype=torch.float64) + 0.5) / 2048
    fine = ((grid[:, None] - 0.5) ** 2 + (grid[None, :] - 0.47) ** 2 < 0.3**2).double()
    x = torch.nn.functional.avg_pool2d(fine[None, None], 8)
    assert ratio(x, threshold) == pytest.approx(expected, rel=0.05)
    assert ratio(x, threshold) < 0.9


@pytest.mark.parametrize("threshold", [0.25, 0.12])
def test_the_ratio_to_wavelets_falls_with_the_regularity_of_the_contour(threshold: float) -> None:
    """Contours of regularity 1, 2, 3 around the middle, standard deviation 0.13, between constant regions 0 and 1.

    The same Gaussian coefficients make the three. Single contours scatter by 0.02, 0.03, 0.04 (standard deviation), so
    the mean of eight of regularity 3 is not above that of a line in every draw; in this one it is.
    """

    def curved(alpha: float) -> Tensor:
        heights = 0.5 + 0.13 * gaussian_series(8, 256, 4096, alpha, seed=0, start=0, dtype=torch.float64)
        return area_below(256 * heights, 256)[:, None]

    c1, c2, c3 = (ratio(curved(alpha), threshold) for alpha in (1.0, 2.0, 3.0))
    line = area_below(256 * (0.31 + 0.37 * (torch.arange(4096, dtype=torch.float64)[None] + 0.5) / 4096), 256)
    straight = ratio(line[:, None], threshold)
    assert 0.8 > c1 > c2 > c3 > straight
    assert c2 < 0.75
    assert straight < 0.65
    assert (c1, c2, c3) == pytest.approx((0.716, 0.614, 0.607), rel=0.02)  # as measured, at both thresholds


def test_bandlets_find_nothing_in_noise() -> None:
    # at the threshold of 3 sigma that the penalty is made for; at 2 sigma noise is taken for geometry, and the ratio is 0.92
    assert ratio(normal(2, 1, 256, 256), 3.0) == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize(("sigma", "gain"), [(0.05, 2.04), (0.1, 2.16), (0.2, 2.05), (0.4, 1.60)])
def test_the_gain_of_the_oracle_over_wavelets_on_a_cartoon(sigma: float, gain: float) -> None:
    x = cartoon(256, seed=5, n=2)
    bandlets, wavelets = oracle_mse(Bandlet().at(x, sigma), x, sigma), oracle_mse(Wavelet("db4"), x, sigma)
    assert 10 * math.log10(float(wavelets.mean() / bandlets.mean())) == pytest.approx(gain, abs=0.3)


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2, 0.4])
def test_a_geometry_found_in_the_noisy_image_denoises_better_than_wavelets(sigma: float) -> None:
    x = cartoon(256, seed=5, n=2)
    y = add_noise(x, sigma, seed=1)

    def error(basis: Wavelet | Bandlet) -> float:
        return float((ShrinkageDenoiser(basis, Hard(3.0))(y, sigma) - x).square().mean())

    wavelet = error(Wavelet("db4"))
    clean = 10 * math.log10(wavelet / error(Bandlet().at(x, 3 * sigma)))
    noisy = 10 * math.log10(wavelet / error(Bandlet().at(y, 3 * sigma)))
    assert noisy > 0.3
    assert clean > 0.5
    assert noisy > clean - 0.4  # the noise spoils little of the geometry
    cheap = Bandlet(penalty=0.02).at(y, 3 * sigma)
    assert error(cheap) > wavelet * 0.99  # geometry for nothing is noise taken for geometry


@pytest.mark.parametrize(
    "dictionary",
    [
        Bandlet(),
        Bandlet("haar"),
        Bandlet(sizes=(4,)),
        Bandlet(sizes=(8,)),
        Bandlet(sizes=(4, 8, 16, 32)),
        Bandlet(sizes=(4, 8), curvatures=(-0.4, -0.2, 0.0, 0.2, 0.4)),
        Bandlet(sizes=(4, 8), moments=2),
    ],
    ids=["default", "haar", "4", "8", "to-32", "curved", "alpert"],
)
def test_fewer_than_one_square_of_noise_in_a_hundred_has_a_flow(dictionary: Bandlet) -> None:
    noise = normal(8, 1, 256, 256, seed=3, dtype=torch.float32)
    geometry = dictionary.at(0.1 * noise, threshold=0.3).geometry
    assert int(geometry.directional_leaves.sum()) < 0.01 * int(geometry.total_leaves.sum())


def test_an_infinite_penalty_gives_the_wavelet_coefficients_bit_for_bit() -> None:
    x = edge(64, 64).float()
    basis = Bandlet(penalty=math.inf).at(x, threshold=0.01)
    assert int(basis.geometry.directional_leaves) == 0
    assert torch.equal(basis.analysis(x), Wavelet("db4").analysis(x))
    assert float(basis.cost(x, 0.01)) == pytest.approx(float(kept(Wavelet("db4").analysis(x), 0.01)))


def test_the_result_depends_neither_on_the_batch_nor_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.cat([edge(64, 64, slope=s) for s in (0.1, 0.6, -0.4)]).float() + 0.1 * normal(3, 1, 64, 64).float()
    together = Bandlet().at(x, 0.3)
    backwards = Bandlet().at(x.flip(0), 0.3)
    monkeypatch.setattr(flows, "CHUNK", 3000)
    chunked = Bandlet().at(x, 0.3)
    leaves = [list(together.geometry.leaves(i)) for i in range(3)]
    assert sum(leaf.angle is not None for leaf in leaves[1]) > 5
    for i in range(3):
        assert list(backwards.geometry.leaves(2 - i)) == leaves[i]
        assert list(chunked.geometry.leaves(i)) == leaves[i]
        assert list(Bandlet().at(x[i : i + 1], 0.3).geometry.leaves()) == leaves[i]


def lifting(sequence: Tensor) -> Tensor:
    """A predict step without its scale, the mistake of transforms that are invertible but not orthonormal."""
    details = []
    while sequence.shape[-1] > 1:
        details.append(sequence[..., 0::2] - sequence[..., 1::2])
        sequence = sequence[..., 1::2] + details[-1] / 2
    return torch.cat([sequence, *details[::-1]], dim=-1)


def test_a_lifting_that_is_not_orthonormal_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "_haar", lifting)
    with pytest.raises(AssertionError, match=r"adjoint|orthonormal|Parseval"):
        check_basis(Bandlet(sizes=(4, 8)).at(edge(32, 32), threshold=0.1), (1, 32, 32))


def test_a_bank_of_shears_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shears(size: int, curvatures: tuple[float, ...]) -> tuple:
        angles, bends, orders = complete(size, curvatures)
        steep = abs(angles - math.pi / 2) > math.pi / 4
        return angles[steep], bends[steep], orders[steep]

    complete = flows._flows
    monkeypatch.setattr(flows, "_flows", shears)
    for cached in (flows._orders, flows._inverse_orders, flows._matrices):
        cached.cache_clear()
    try:
        with pytest.raises(AssertionError):
            test_the_cost_does_not_change_when_the_image_is_turned("transpose", "db4")
    finally:
        for cached in (flows._orders, flows._inverse_orders, flows._matrices):
            cached.cache_clear()


def test_a_cost_without_magnitudes_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def signed(bank: flows.FlowBank, squares: Tensor, threshold: Tensor) -> Tensor:
        c = torch.einsum("fpq,nq->fnp", bank.matrices(), squares)
        level = threshold[:, None]
        return torch.where(c > level, level**2, torch.where(c < -level, 0.0, c**2)).sum(dim=2)  # counts c > T alone

    monkeypatch.setattr(flows.FlowBank, "costs", signed)
    with pytest.raises(AssertionError):
        for seed in range(4):
            test_the_geometry_is_the_best_of_all_on_a_subband_of_8_by_8(seed)


def test_gradients_flow_for_a_fixed_geometry() -> None:
    x = edge(32, 32).requires_grad_()
    basis = Bandlet(sizes=(4, 8)).at(x, threshold=0.1)
    weights = normal(1, 1024)
    (gradient,) = torch.autograd.grad((basis.analysis(x) * weights).sum(), x)
    torch.testing.assert_close(gradient, basis.synthesis(weights), rtol=0, atol=1e-12)
    weights.requires_grad_()
    (gradient,) = torch.autograd.grad((basis.synthesis(weights) * x.detach()).sum(), weights)
    torch.testing.assert_close(gradient, basis.analysis(x.detach()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("moments", [1, 2])
def test_a_first_search_in_inference_mode_does_not_spoil_later_gradients(moments: int) -> None:
    x = edge(48, 48)
    with torch.inference_mode():  # with flows that no other test uses
        basis = Bandlet("db3", sizes=(4, 8), curvatures=(0.0, 0.17), moments=moments).at(x, threshold=0.05)
        basis.synthesis(basis.analysis(x))
    assert int(basis.geometry.directional_leaves) > 0
    x.requires_grad_()
    basis.synthesis(basis.analysis(x)).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach(), rtol=0, atol=1e-10)


def test_a_jacobian_passes_through_a_fixed_geometry() -> None:
    x, sigma = edge(16, 16) + 0.05 * normal(1, 1, 16, 16), 0.1
    basis = Bandlet("db2", sizes=(2, 4), levels=2).at(x, threshold=sigma)
    gains = torch.linspace(1, 0, 256, dtype=torch.float64)
    J = jacobian(ShrinkageDenoiser(basis, FixedGains(gains)), x, sigma)
    atoms = basis.atoms(range(256), dtype=torch.float64)
    torch.testing.assert_close(J.matrix(), atoms.mT @ (gains[:, None] * atoms), rtol=0, atol=1e-10)


def test_atoms_are_rows_and_images() -> None:
    basis = Bandlet(sizes=(4, 8)).at(edge(32, 32), threshold=0.1)
    rows = basis.atoms([700, 3], dtype=torch.float64)
    assert rows.shape == (2, 1024)
    torch.testing.assert_close(rows @ rows.mT, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(basis.atom_images([700, 3], dtype=torch.float64).flatten(1), rows)
    x = normal(5, 1, 32, 32)
    torch.testing.assert_close(basis.analysis(x)[:, [700, 3]], x.flatten(1) @ rows.mT, rtol=0, atol=1e-12)


def test_a_geometry_can_be_given_and_read() -> None:
    x = edge(64, 64)
    found = Bandlet().at(x, threshold=0.1).geometry
    given = Bandlet(geometry=found)
    assert torch.equal(given.analysis(x), Bandlet().at(x, threshold=0.1).analysis(x))
    leaves = list(found.leaves())
    assert len(leaves) == int(found.total_leaves)
    directional = [leaf for leaf in leaves if leaf.angle is not None]
    assert len(directional) == int(found.directional_leaves) > 5
    area = sum((leaf.size * 2**leaf.level) ** 2 for leaf in leaves)
    # three subbands for each of the levels 1 to 4, with sides 32, 16, 8, 4: all of them are cut into squares
    assert area == 3 * 4 * 64**2
    # flows of the finest level follow the edge, or the jump from the bottom to the top of the torus, to half a step
    for leaf in directional:
        if leaf.orientation == "horizontal" and leaf.level == 1:
            assert min(abs(leaf.angle - math.atan(0.37)), leaf.angle) <= math.pi / (8 * leaf.size)


def test_a_geometry_counts_its_bits() -> None:
    one = torch.full((1, 1, 3, 1, 1), -1)
    two = torch.zeros(1, 1, 3, 2, 2, dtype=torch.int64)
    two[0, 0, 0, 0, 0] = 7
    geometry = Geometry((1, 16, 16), {1: {8: one, 4: two}})
    assert int(geometry.total_leaves) == 12
    assert int(geometry.splits) == 3
    assert int(geometry.directional_leaves) == int(geometry.directional_leaves_of(4)) == 1
    assert int(geometry.bits) == 12 + 3 + 4  # 10 flows of a square of side 4 take 4 bits


def test_a_geometry_is_drawn() -> None:
    from matplotlib.figure import Figure

    geometry = Bandlet().at(edge(64, 64), threshold=0.1).geometry
    ax = geometry.draw(Figure().subplots(), level=1, orientation="horizontal")
    outlines, strokes = ax.collections
    leaves = [leaf for leaf in geometry.leaves() if leaf.level == 1 and leaf.orientation == "horizontal"]
    assert len(outlines.get_segments()) == len(leaves)
    assert len(strokes.get_segments()) >= sum(leaf.angle is not None for leaf in leaves)


@pytest.mark.gpu
def test_on_an_accelerator(accelerator: torch.device) -> None:
    x = edge(64, 64).float().to(accelerator)
    basis = Bandlet().at(x, threshold=0.1)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x, rtol=0, atol=1e-5)


def test_bad_use_is_refused(unchecked: None) -> None:
    x = edge(32, 32)
    with pytest.raises(RuntimeError, match="has no geometry yet; adapt it to images with at"):
        Bandlet().analysis(x)
    with pytest.raises(RuntimeError, match="has no geometry yet"):
        Bandlet().synthesis(torch.zeros(1, 1024))
    with pytest.raises(ValueError, match="adapted for a threshold T: give at"):
        Bandlet().at(x)
    for threshold in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="threshold must be finite and above 0"):
            Bandlet().at(x, threshold)
    with pytest.raises(ValueError, match=r"tensor of shape \(batch,\) = \(1,\), got shape \(2,\)"):
        Bandlet().at(x, torch.ones(2))
    with pytest.raises(TypeError, match="threshold must be a number, got str"):
        Bandlet().at(x, "high")
    with pytest.raises(ValueError, match=r"sizes must each be the double of the one before, .* got \(4, 16\)"):
        Bandlet(sizes=(4, 16))
    for penalty in (-1.0, math.nan):
        with pytest.raises(ValueError, match="penalty must be at least 0"):
            Bandlet(penalty=penalty)
    two = Bandlet().at(x.expand(2, 1, 32, 32), 0.1)
    with pytest.raises(ValueError, match="adapted to a batch of 2 images, got 3; give a batch of the same length"):
        two.analysis(x.expand(3, 1, 32, 32))
    with pytest.raises(ValueError, match=r"adapted to images of shape \(1, 32, 32\), got \(1, 64, 64\)"):
        two.analysis(edge(64, 64).expand(2, 1, 64, 64))
    with pytest.raises(ValueError, match="adapted to a batch of 2 images, got 1"):
        two.atoms([0])
    with pytest.raises(ValueError, match="geometry was found with other flows"):
        replace(two, moments=2, sizes=(4, 8))
    with pytest.raises(ValueError, match="image index must be between -2 and 1, got 2"):
        two[2]


def test_gains_of_the_oracle_reach_its_risk() -> None:
    x = cartoon(64, 1)
    basis = Bandlet().at(x, 0.1)
    c = basis.analysis(x)
    gains = c.square() / (c.square() + 0.01)
    torch.testing.assert_close(oracle_mse(basis, x, 0.1), shrinkage_mse(gains, c, 0.1))
