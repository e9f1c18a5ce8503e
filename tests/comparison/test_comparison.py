import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gahb_theory import runs
from gahb_theory.bases import (
    DCT,
    PCA,
    Bandlet,
    CycleSpinning,
    DenseBasis,
    Pixels,
    RandomBasis,
    Tangent,
    Wavelet,
)
from gahb_theory.comparison import (
    Comparison,
    align,
    coherence,
    compare,
    effective_atoms,
    overlap_curve,
    overlap_of_chance,
    principal_angles,
    procrustes,
    weighted_overlap,
)
from gahb_theory.comparison.alignment import contour_band
from gahb_theory.denoisers import ShrinkageDenoiser
from gahb_theory.images import CAlpha, Disks
from gahb_theory.jacobians import Jacobian, jacobian, subspace_dimension
from gahb_theory.randomness import add_noise
from gahb_theory.report.draw_comparison import comparison_figure
from gahb_theory.shrinkage import FixedGains, oracle_gains
from gahb_theory.theory import oracle_mse


def orthonormal(k: int, d: int, seed: int = 0) -> Tensor:
    z = torch.randn(d, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(z)[0].mT


def test_principal_angles_equal_scipy() -> None:
    from scipy.linalg import subspace_angles

    u, v = orthonormal(4, 12), orthonormal(6, 12, seed=1)
    expected = np.sort(subspace_angles(u.mT.numpy(), v.mT.numpy()))
    np.testing.assert_allclose(principal_angles(u, v).numpy(), expected, atol=1e-7)


def test_planted_angles_are_recovered() -> None:
    angles = torch.tensor([0.1, 0.5, 1.2], dtype=torch.float64)
    u, v = torch.eye(8, dtype=torch.float64)[:3], torch.zeros(3, 8, dtype=torch.float64)
    v[range(3), range(3)], v[range(3), range(3, 6)] = angles.cos(), angles.sin()
    turned = orthonormal(3, 3) @ v
    torch.testing.assert_close(principal_angles(u, turned), angles)
    torch.testing.assert_close(overlap_curve(u, turned, [3])[0], angles.cos().square().mean())


def test_the_overlap_of_random_spans_is_that_of_chance() -> None:
    d, r, m = 20, 4, 7
    u = orthonormal(r, d)
    overlaps = torch.stack([(u @ orthonormal(m, d, seed=s).mT).square().sum() / r for s in range(1, 3001)])
    mean, spread = overlap_of_chance(r, m, d)
    assert mean == m / d
    assert float(overlaps.mean()) == pytest.approx(mean, abs=4 * spread / math.sqrt(3000))
    assert float(overlaps.std()) == pytest.approx(spread, rel=0.06)
    assert overlap_of_chance(20, 7, 20)[1] == 0


def test_the_weighted_overlap_is_a_ratio_of_traces() -> None:
    u, v, gains = orthonormal(10, 10), orthonormal(4, 10, seed=1), torch.linspace(1, 0, 10, dtype=torch.float64)
    operator = u.mT @ torch.diag(gains) @ u
    assert weighted_overlap(gains, u, v) == pytest.approx(float((operator @ v.mT @ v).trace() / operator.trace()))
    assert weighted_overlap(gains, u, u) == pytest.approx(1)


def test_coherence_and_spread_at_their_ends() -> None:
    pixels, harmonics = torch.eye(64, dtype=torch.float64), _hadamard()
    assert coherence(pixels, pixels) == pytest.approx(8)
    assert coherence(pixels, harmonics) == pytest.approx(1)
    assert effective_atoms(pixels, pixels).tolist() == pytest.approx([1] * 64)
    assert effective_atoms(pixels, harmonics).tolist() == pytest.approx([64] * 64)


def _hadamard() -> Tensor:
    h = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(6):
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)]) / math.sqrt(2)
    return h


def test_effective_dimensions_by_hand() -> None:
    found = subspace_dimension(torch.tensor([1.0, 0.5, 0.5, -0.2], dtype=torch.float64))
    assert found.trace == pytest.approx(1.8)
    assert found.above_half == 1
    assert found.energy == pytest.approx(1.54)
    assert found.participation == pytest.approx(2.2**2 / 1.54)  # of magnitudes
    shares = [value / 2.2 for value in (1.0, 0.5, 0.5, 0.2)]
    assert found.entropy == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)))


def test_rotations_inside_a_cluster_do_not_count() -> None:
    every = orthonormal(12, 12)
    u = every[:6]
    values = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.5, 0.1], dtype=torch.float64)
    turned = (
        torch.block_diag(orthonormal(3, 3, seed=1), orthonormal(2, 2, seed=2), -torch.ones(1, 1, dtype=torch.float64))
        @ u
    )
    distances, sizes = procrustes(values, u, turned, 0.01)
    assert sizes == [3, 2, 1]
    torch.testing.assert_close(distances, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-7)
    apart, _ = procrustes(values, u, every[6:], 0.01)
    torch.testing.assert_close(apart, torch.full((3,), math.sqrt(2), dtype=torch.float64), rtol=0, atol=1e-7)
    # one cluster too few, and the rotation of two clusters into each other is not seen
    mixed = orthonormal(6, 6, seed=3) @ u
    assert float(procrustes(values, u, mixed, 1.0)[0]) < 1e-7 < float(procrustes(values, u, mixed, 0.01)[0].min())


def test_harmonics_along_a_contour_are_told_from_harmonics_across() -> None:
    scene = CAlpha(alpha=3.0, size=64).scene(1, seed=2, dtype=torch.float64)
    band = contour_band(scene.coverage)
    rows, columns = torch.meshgrid(torch.arange(64).double() + 0.5, torch.arange(64).double() + 0.5, indexing="ij")
    across = rows - 64 * scene.contour
    profile = torch.exp(-across.square() / 8)
    along = torch.stack([profile * torch.cos(torch.pi * f * columns / 64) for f in (0, 2, 6)])[:, None]
    wave = torch.cos(torch.pi * 20 * columns / 64)[None, None]
    atoms = torch.cat([along, wave])
    atoms = atoms / atoms.flatten(1).norm(dim=1)[:, None, None, None]
    found = align(atoms, scene.coverage, scene.contour)
    assert bool((found.band_energy[:3] > 0.4).all())
    assert float(found.band_energy[3]) == pytest.approx(float(band.double().mean()), abs=0.03)
    assert float(found.alignment[0]) > 0.9 > float(found.alignment[2]) > float(found.alignment[3])
    # a cosine of f half turns across the image has f / 2 cycles
    assert found.frequency.tolist() == pytest.approx([0, 1, 3, 10], abs=0.35)
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(align(noise / noise.norm(), scene.coverage).alignment) == pytest.approx(0.5, abs=0.12)


def test_a_band_is_three_pixels_wide_on_a_straight_contour() -> None:
    coverage = torch.zeros(1, 1, 16, 16)
    coverage[:, :, 7:] = 1
    assert contour_band(coverage).sum(dim=0).tolist() == [3] * 16
    coverage[:, :, 7] = 0.4
    assert contour_band(coverage).sum(dim=0).tolist() == [3] * 16


def test_a_basis_with_itself_and_with_chance() -> None:
    same = compare(DCT(), DCT(), shape=(1, 8, 8))
    np.testing.assert_allclose(same.overlap, 1)
    np.testing.assert_allclose(same.angles, 0, atol=1e-4)
    assert (same.first.name, same.second.name) == ("DCT 1", "DCT 2")
    other = compare(DCT(), RandomBasis.draw((1, 16, 16)))
    outside = np.abs(other.overlap - other.overlap_of_chance) > 4 * other.overlap_spread + 1e-6
    assert not outside.any()


def test_the_eigenbasis_of_a_shrinkage_denoiser_is_the_basis_of_the_denoiser() -> None:
    x, sigma = CAlpha(alpha=2.0, size=16).sample(1, seed=1, dtype=torch.float64), 0.1
    basis = Wavelet("db2")
    gains = oracle_gains(basis.analysis(x), sigma)[0]
    J = jacobian(ShrinkageDenoiser(basis, FixedGains(gains)), x, sigma)
    result = compare(J, basis, x, sigma)
    assert result.weighted_overlap == pytest.approx(
        float(gains[basis.analysis(x)[0].abs() > sigma].sum() / gains.sum())
    )
    assert result.weighted_overlap > 3 * result.weighted_rank / result.dimension
    assert result.procrustes == pytest.approx(0, abs=1e-4)
    assert result.first.dimensions.trace == pytest.approx(float(gains.sum()))
    assert result.first.oracle_mse == pytest.approx(result.second.oracle_mse)
    assert result.first.oracle_mse == pytest.approx(sigma**2 * float(gains.sum()))
    assert float(result.angles.max()) < 1e-3


def test_the_response_to_atoms_below_the_noise() -> None:
    x, sigma = CAlpha(alpha=2.0, size=16).sample(1, seed=1, dtype=torch.float64), 0.1
    basis = Wavelet("db2")
    c = basis.analysis(x)[0]
    below = c.abs() <= sigma
    # kept or removed as the basis would: nothing below the noise passes
    kept = jacobian(ShrinkageDenoiser(basis, FixedGains((~below).double())), x, sigma)
    assert compare(kept, basis, x, sigma).response == pytest.approx(0, abs=1e-12)
    gains = oracle_gains(c[None], sigma)[0]
    J = jacobian(ShrinkageDenoiser(basis, FixedGains(gains)), x, sigma)
    result = compare(J, basis, x, sigma)
    assert result.response == pytest.approx(float(gains[below].square().mean().sqrt()))
    assert result.response_of_chance == pytest.approx(float(gains.square().mean().sqrt()))
    assert result.response < 0.5 * result.response_of_chance
    # a basis that knows nothing of the image does no better than chance
    assert compare(J, RandomBasis.draw((1, 16, 16)), x, sigma).response == pytest.approx(
        result.response_of_chance, rel=0.1
    )
    assert compare(basis, J, x, sigma).response is None
    # under so much noise only the strongest atom is left
    assert compare(J, basis, x, 10.0).weighted_rank == 1


def test_a_jacobian_tells_of_its_denoiser() -> None:
    x, sigma = CAlpha(alpha=2.0, size=16).sample(1, seed=1, dtype=torch.float64), 0.1
    y = add_noise(x, sigma, seed=2)
    basis = Wavelet("db2")
    f = ShrinkageDenoiser(basis, FixedGains(oracle_gains(basis.analysis(x), sigma)[0]))
    result = compare(jacobian(f, y, sigma), basis, x, sigma)
    first = result.first
    assert first.asymmetry == pytest.approx(0, abs=1e-12)
    assert first.homogeneity_error == pytest.approx(0, abs=1e-12)
    assert first.error == pytest.approx(float((f(y, sigma) - x).square().sum()))
    assert first.excess == pytest.approx(first.error - float(oracle_mse(basis, x, sigma)))
    # over draws of the noise the mean error of the oracle is its risk
    errors = (f(add_noise(x.expand(400, -1, -1, -1), sigma, seed=3), sigma) - x).square().sum(dim=(1, 2, 3))
    assert abs(float(errors.mean()) - first.oracle_mse) < 4 * float(errors.std()) / 20
    assert (result.second.asymmetry, result.second.error) == (None, None)
    assert compare(jacobian(f, y, sigma), basis, x.expand(2, -1, -1, -1), sigma).first.error is None
    shifted = jacobian(lambda z, _: 0.5 * z.roll(1, dims=2) + 0.1, y, sigma)
    side = compare(shifted, basis, x, sigma).first
    # ||P - P^T||^2 = 2 d and ||P||^2 = d for a shift P by one pixel
    assert side.asymmetry == pytest.approx(math.sqrt(2))
    assert side.homogeneity_error == pytest.approx(0.1 * 16 / float((0.5 * y.roll(1, dims=2) + 0.1).norm()))
    assert "response to atoms below the noise" in result.table()
    assert "error of the denoiser" in result.table()


def test_the_eigenbases_of_two_denoisers_are_compared() -> None:
    images = CAlpha(alpha=2.0, size=16).sample(400, seed=1, dtype=torch.float64)
    y = add_noise(images[:1], 0.1, seed=2)

    def linear(part: slice) -> Jacobian:
        pca = PCA.fit(images[part])
        gains = pca.variances / (pca.variances + 0.1**2)
        return jacobian(ShrinkageDenoiser(pca, FixedGains(gains)), y, 0.1)

    one, other = linear(slice(0, 200)), linear(slice(200, 400))
    apart = compare(one, other, images[:1], 0.1, rank=8, names=("first half", "second half"))
    assert (apart.first.name, apart.second.name) == ("first half", "second half")
    assert apart.first.asymmetry < 1e-10 > apart.second.asymmetry
    fewer = compare(linear(slice(0, 20)), linear(slice(200, 220)), images[:1], 0.1, rank=8)
    # denoisers of disjoint sets agree far better than by chance, and better when learnt from more
    at = list(apart.ranks).index(8)
    assert apart.overlap[at] > fewer.overlap[at] + 0.1
    assert fewer.overlap[at] > 5 * fewer.overlap_of_chance[at]
    assert np.median(apart.angles) < np.median(fewer.angles) < np.median(apart.angles_of_chance)
    np.testing.assert_allclose(compare(one, one, images[:1], 0.1, rank=8).angles, 0, atol=1e-3)


@pytest.fixture(scope="module")
def full() -> Comparison:
    scene = CAlpha(alpha=2.0, size=32).scene(1, seed=3)
    bandlet = Bandlet().at(scene.images, threshold=0.05)
    return compare(bandlet, DCT(), scene.images, 0.05, coverage=scene.coverage, contour=scene.contour, rank=12)


def test_everything_is_told_of_a_bandlet_and_a_cosine_basis(full: Comparison) -> None:
    x = CAlpha(alpha=2.0, size=32).sample(1, seed=3)
    assert full.first.oracle_mse == pytest.approx(float(oracle_mse(Bandlet().at(x, 0.05), x, 0.05)))
    assert full.second.oracle_mse == pytest.approx(float(oracle_mse(DCT(), x, 0.05)))
    assert full.first.energy_area > 0.5
    assert full.rank == len(full.angles) == 12
    text = str(full)
    for word in ("Bandlet", "DCT", "oracle risk", "weighted overlap", "alignment", "frequency", "chance", "coherence"):
        assert word in text
    assert full.first.best_energy[-1] == pytest.approx(1, abs=1e-4)
    assert bool((np.diff(full.first.best_energy) >= -1e-6).all())
    assert bool((full.first.best_energy >= full.first.energy - 1e-6).all())


def test_the_result_is_written_and_drawn(full: Comparison, tmp_path) -> None:
    stored = json.loads(full.save(tmp_path / "comparison.json").read_text())
    assert stored["first"]["name"] == "Bandlet"
    assert stored["overlap"] == full.overlap.tolist()
    assert stored["second"]["decay"]["window"] == list(full.second.decay.window)
    figure = comparison_figure(full)
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "number of atoms r",
        "index, of 12 atoms",
        "number of atoms r",
        "number k of the atom",
    ]
    figure.savefig(tmp_path / "comparison.png")
    ax = full.plot()
    assert ax.get_ylabel() == "overlap of the spans"
    assert full.plot(ax) is ax
    np.testing.assert_equal(runs.read_json(tmp_path / "comparison.json"), json.loads(json.dumps(full.to_dict())))
    assert full.to_dict()["first"]["oracle_mse"] == full.first.oracle_mse


def test_a_users_own_basis_and_partial_bases() -> None:
    x = Disks(size=16).scene(6, seed=1)
    mine = DenseBasis(
        torch.linalg.qr(torch.randn(256, 9, generator=torch.Generator().manual_seed(0)))[0].mT, (1, 16, 16)
    )
    result = compare(Tangent.complete(x.tangent[0], (1, 16, 16)), mine, x.images[:1], 0.05)
    assert result.second.atoms == 9
    assert result.second.terms is None
    other = compare(PCA.fit(x.images, components=4), Pixels(), x.images, 0.05, names=("principal", "pixels"))
    assert other.first.name == "principal"
    assert "principal" in other.table()
    assert np.all(np.isfinite(other.overlap))


def test_bad_use_is_refused(unchecked: None) -> None:
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="CycleSpinning is a redundant frame; only orthonormal bases are compared"):
        compare(CycleSpinning(DCT()), DCT(), x)
    with pytest.raises(ValueError, match="Bandlet is not adapted yet; adapt it to one image"):
        compare(Bandlet(), DCT(), x)
    with pytest.raises(ValueError, match=r"must have one shape, got \[\]; give shape="):
        compare(DCT(), Pixels())
    with pytest.raises(ValueError, match=r"must have one shape, got \[\(1, 8, 8\), \(1, 16, 16\)\]"):
        compare(DCT(), Pixels(), x, shape=(1, 8, 8))
    with pytest.raises(ValueError, match="sigma needs images x"):
        compare(DCT(), Pixels(), sigma=0.1, shape=(1, 8, 8))
    with pytest.raises(ValueError, match="rank must be between 1 and 256, got 300"):
        compare(DCT(), Pixels(), x, rank=300)
    with pytest.raises(ValueError, match=r"coverage must have shape \(1, 1, 16, 16\)"):
        align(x, torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="coverage has no contour"):
        align(x, torch.zeros(1, 1, 16, 16))
