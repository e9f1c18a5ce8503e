import pytest
import torch

import gahb_theory as gt
from gahb_theory import EquivariantPatchBayes, PatchBayes, PatchSchedule, WienerPatchBayes


def images(n, channels=1, height=5, width=6, seed=0):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def patch(x, i, j, r, boundary):
    """The patch of one image around a place, written out."""
    channels, height, width = x.shape
    out = torch.zeros(channels, 2 * r + 1, 2 * r + 1, dtype=x.dtype)
    for a in range(-r, r + 1):
        for b in range(-r, r + 1):
            row, column = i + a, j + b
            if boundary == "circular":
                out[:, a + r, b + r] = x[:, row % height, column % width]
            elif 0 <= row < height and 0 <= column < width:
                out[:, a + r, b + r] = x[:, row, column]
    return out


def brute_force(train, y, sigma, size, boundary, everywhere):
    _, height, width = y.shape
    result = torch.zeros_like(y)
    places = [(i, j) for i in range(height) for j in range(width)]
    for i, j in places:
        query = patch(y, i, j, size // 2, boundary)
        logits, values = [], []
        for x in train:
            for a, b in places if everywhere else [(i, j)]:
                difference = query - patch(x, a, b, size // 2, boundary)
                logits.append(-difference.square().sum() / (2 * sigma**2))
                values.append(x[:, a, b])
        result[:, i, j] = torch.softmax(torch.stack(logits), 0) @ torch.stack(values)
    return result


@pytest.mark.parametrize("machine", [PatchBayes, EquivariantPatchBayes])
@pytest.mark.parametrize("boundary", ["zero", "circular"])
@pytest.mark.parametrize(("size", "channels"), [(1, 1), (3, 2), (5, 1)])
def test_is_the_sum_written_out(machine, boundary, size, channels):
    train, y = images(3, channels, 4, 5), images(2, channels, 4, 5, seed=1)
    sigmas = torch.tensor([0.15, 0.5], dtype=torch.float64)
    f = machine(train, size, boundary, budget=2**12)
    everywhere = machine is EquivariantPatchBayes
    for k in range(2):
        expected = brute_force(train, y[k], float(sigmas[k]), size, boundary, everywhere)
        torch.testing.assert_close(f(y, sigmas)[k], expected, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(machine(train, size, boundary)(y[k : k + 1], float(sigmas[k]))[0], expected)


def test_queries_in_chunks(monkeypatch):
    f, y = EquivariantPatchBayes(images(3), 3), images(2, seed=1)
    whole = f(y, 0.3)
    monkeypatch.setattr("gahb_theory.denoisers.local.QUERIES", 7)
    torch.testing.assert_close(f(y, 0.3), whole)


def test_a_patch_as_large_as_the_image_is_empirical_bayes():
    train, y = images(5, height=5, width=5), images(2, height=5, width=5, seed=1)
    expected = gt.EmpiricalBayes(train)(y, 0.3)
    torch.testing.assert_close(PatchBayes(train, 5, "circular")(y, 0.3), expected)
    torch.testing.assert_close(PatchBayes(train, 9)(y, 0.3), expected)
    moved = torch.cat([train.roll((i, j), (2, 3)) for i in range(5) for j in range(5)])
    expected = gt.EmpiricalBayes(moved)(y, 0.3)
    torch.testing.assert_close(EquivariantPatchBayes(train, 5, "circular")(y, 0.3), expected)


def test_equivariance_is_what_separates_the_two():
    train, y = images(5, height=6), images(1, height=6, seed=1)
    moved = y.roll((2, 1), (2, 3))
    for machine, holds in ((PatchBayes, False), (EquivariantPatchBayes, True)):
        f = machine(train, 3, "circular")
        same = torch.allclose(f(moved, 0.2), f(y, 0.2).roll((2, 1), (2, 3)), rtol=0, atol=1e-10)
        assert same is holds


def test_locality_is_the_patch():
    found = gt.measure_behaviour(PatchBayes(images(5, height=16, width=16), 5), (1, 16, 16), dtype=torch.float64)
    assert found.receptive_field == (5, 5)


@pytest.mark.parametrize("machine", [PatchBayes, EquivariantPatchBayes])
def test_schedule(machine):
    schedule = PatchSchedule((0.1, 1.0), (1, 5))
    assert [schedule(s) for s in (0.01, 0.2, 0.4, 3.0)] == [1, 1, 5, 5]
    train, y = images(4), images(3, seed=1)
    sigmas = torch.tensor([0.05, 2.0, 0.2], dtype=torch.float64)
    f = machine(train, schedule)(y, sigmas)
    for k, size in enumerate((1, 5, 1)):
        torch.testing.assert_close(f[k : k + 1], machine(train, size)(y[k : k + 1], float(sigmas[k])))


def test_calibration_finds_the_patches_of_a_machine():
    train, y = images(6, height=8, width=8), images(3, height=8, width=8, seed=1)
    truth = PatchSchedule((0.1, 0.8), (3, 7))
    found = gt.calibrate_patches(
        PatchBayes(train, truth),
        lambda size: PatchBayes(train, size),
        lambda s: gt.add_noise(y, s),
        (0.1, 0.8),
        (1, 3, 5, 7),
    )
    assert found == truth


def test_wiener_masks():
    """Without a threshold all pixels are seen; with one, the mask is that of the filter, and the sum is written out."""
    train, y = images(30, height=4, width=4), images(2, height=4, width=4, seed=1)
    torch.testing.assert_close(WienerPatchBayes(train, 0.0)(y, 0.3), gt.EmpiricalBayes(train)(y, 0.3))
    f = WienerPatchBayes(train, 0.1)
    centred = (train - train.mean(0)).flatten(1)
    covariance = centred.mT @ centred / 29
    wiener = covariance @ torch.linalg.inv(covariance + 0.09 * torch.eye(16).double())
    torch.testing.assert_close(f.sensitivity(0.3), wiener, rtol=1e-9, atol=1e-11)
    mask = (wiener.abs() >= 0.1 * wiener.abs().amax(1, keepdim=True)).double()
    assert 0.1 < float(mask.mean()) < 0.9
    for k in range(2):
        for i in range(16):
            distances = ((y[k] - train).flatten(1).square() * mask[i]).sum(1)
            value = torch.softmax(-distances / 0.18, 0) @ train.flatten(1)[:, i]
            assert float(f(y, 0.3)[k].flatten()[i]) == pytest.approx(float(value), rel=1e-9)


def test_masks_shrink_with_the_noise_on_images_with_local_correlations():
    f = WienerPatchBayes(gt.CAlpha(size=16).sample(600).double(), 0.1)
    assert float(f.mask(0.02).mean()) < 0.7 * float(f.mask(0.5).mean())


@pytest.mark.parametrize(
    "f", [PatchBayes(images(4), 3), EquivariantPatchBayes(images(4), 3), WienerPatchBayes(images(20))]
)
def test_conformance(f):
    gt.testing.check_denoiser(f, (1, 5, 6), torch.float64)
    with pytest.raises(ValueError, match=r"knows images of shape \(1, 5, 6\), got \(1, 6, 5\)"):
        f(images(1, 1, 6, 5), 0.1)


def test_refusals(unchecked):
    train = images(4)
    with pytest.raises(ValueError, match="patch must be odd"):
        PatchBayes(train, 4)
    with pytest.raises(ValueError, match="too large"):
        EquivariantPatchBayes(train, 11)
    with pytest.raises(ValueError, match="boundary must be"):
        PatchBayes(train, 3, "reflect")
    with pytest.raises(ValueError, match="threshold must lie"):
        WienerPatchBayes(train, 2.0)
    with pytest.raises(ValueError, match="must pair positive levels"):
        PatchSchedule((0.1,), (3, 5))
