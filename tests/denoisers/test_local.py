import pytest
import torch

import gahb_theory as gt
from gahb_theory import BoundaryBrokenPatchBayes, EquivariantPatchBayes, PatchBayes, PatchSchedule, WienerPatchBayes


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


def reach(x, i, j, r):
    """How many of the r rows and columns to each side of a place lie inside the image."""
    _, height, width = x.shape
    return min(r, i), min(r, height - 1 - i), min(r, j), min(r, width - 1 - j)


def brute_force(train, y, sigma, size, boundary, machine):
    _, height, width = y.shape
    result = torch.zeros_like(y)
    places = [(i, j) for i in range(height) for j in range(width)]
    for i, j in places:
        query = patch(y, i, j, size // 2, boundary)
        compared = {
            PatchBayes: [(i, j)],
            EquivariantPatchBayes: places,
            BoundaryBrokenPatchBayes: [p for p in places if reach(y, *p, size // 2) == reach(y, i, j, size // 2)],
        }[machine]
        logits, values = [], []
        for x in train:
            for a, b in compared:
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
    for k in range(2):
        expected = brute_force(train, y[k], float(sigmas[k]), size, boundary, machine)
        torch.testing.assert_close(f(y, sigmas)[k], expected, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(machine(train, size, boundary)(y[k : k + 1], float(sigmas[k]))[0], expected)


@pytest.mark.parametrize(("size", "channels"), [(1, 1), (3, 2), (5, 1), (7, 1)])
def test_boundary_broken_is_the_sum_over_places_as_near_to_the_border(size, channels):
    train, y = images(3, channels, 4, 7), images(2, channels, 4, 7, seed=1)
    f = BoundaryBrokenPatchBayes(train, size, budget=2**12)
    for k, sigma in enumerate((0.15, 0.5)):
        expected = brute_force(train, y[k], sigma, size, "zero", BoundaryBrokenPatchBayes)
        torch.testing.assert_close(f(y[k : k + 1], sigma)[0], expected, rtol=1e-9, atol=1e-11)


def test_boundary_broken_is_equivariant_inside_and_local_where_all_places_differ():
    """In the interior only the patches of the border are missing; patches of twice the side know where they are."""
    train, y = images(5, height=6), images(1, height=6, seed=1)
    inner = torch.zeros(6, 6, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    f = BoundaryBrokenPatchBayes(train, 3)
    moved = y.clone()
    moved[..., 1:4, 1:4] = y[..., 2:5, 2:5]
    assert float(f(moved, 0.2)[0, 0, 2, 2]) == pytest.approx(float(f(y, 0.2)[0, 0, 3, 3]), abs=1e-12)
    assert abs(float(f(moved, 0.2)[0, 0, 2, 2] - f(y, 0.2)[0, 0, 2, 2])) > 0.1  # and the move does matter
    whole = images(4, height=4, width=4)
    noisy = images(2, height=4, width=4, seed=1)
    torch.testing.assert_close(BoundaryBrokenPatchBayes(whole, 7)(noisy, 0.3), gt.EmpiricalBayes(whole)(noisy, 0.3))


MACHINES = {
    "local": lambda x: PatchBayes(x, 3),
    "local, in chunks": lambda x: PatchBayes(x, 5, budget=2**12),
    "local, circular, pixels seen twice": lambda x: PatchBayes(x, 7, "circular"),
    "equivariant": lambda x: EquivariantPatchBayes(x, 3),
    "equivariant, in chunks": lambda x: EquivariantPatchBayes(x, 5, budget=2**12),
    "equivariant, circular, pixels seen twice": lambda x: EquivariantPatchBayes(x, 7, "circular"),
    "boundary-broken": lambda x: BoundaryBrokenPatchBayes(x, 3),
    "boundary-broken, in chunks": lambda x: BoundaryBrokenPatchBayes(x, 5, budget=2**12),
    "Wiener": lambda x: WienerPatchBayes(x, 0.3),
    "Wiener, in chunks": lambda x: WienerPatchBayes(x, 0.1, budget=2**12),
    "schedule": lambda x: EquivariantPatchBayes(x, PatchSchedule((0.1, 1.0), (1, 5))),
}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
@pytest.mark.parametrize(("channels", "sigma"), [(1, 0.05), (2, 0.3), (1, 2.0)])
def test_closed_jacobian_is_that_of_autograd(machine, channels, sigma):
    f, y = machine(images(8, channels, 4, 5)), images(1, channels, 4, 5, seed=1)
    closed = f.jacobian_matrix(y, sigma)
    dense = torch.autograd.functional.jacobian(lambda x: f(x, sigma), y).reshape(closed.shape)
    torch.testing.assert_close(closed, dense, rtol=1e-8, atol=1e-10 / sigma**2)  # a difference of moments of order 1


def test_closed_jacobian_keeps_dtype_and_refuses_a_batch(unchecked):
    f = EquivariantPatchBayes(images(4).float(), 3)
    assert f.jacobian_matrix(images(1).float(), 0.2).dtype == torch.float32
    for machine in (f, WienerPatchBayes(images(4), 0.1)):
        with pytest.raises(ValueError, match="one image of shape"):
            machine.jacobian_matrix(images(2).to(machine.images), 0.2)
        with pytest.raises(ValueError, match="knows images of shape"):
            machine.jacobian_matrix(images(1, 1, 6, 5).to(machine.images), 0.2)


def risk_and_gap(f, train, sigma, draws):
    """E ||f(y) - x||^2 over the training images, and its distance to sigma^2 E tr J with its standard error."""
    generator = torch.Generator().manual_seed(3)
    x = train[torch.randint(len(train), (draws,), generator=generator)]
    y = (x + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)).requires_grad_(True)
    out = f(y, sigma)
    traces = torch.zeros(draws, dtype=x.dtype)
    for i in range(y[0].numel()):
        (row,) = torch.autograd.grad(out.flatten(1)[:, i].sum(), y, retain_graph=True)
        traces += row.flatten(1)[:, i]
    risks = (out.detach() - x).square().flatten(1).sum(1)
    gap = risks - sigma**2 * traces
    return float(risks.mean()), float(gap.mean()), float(gap.std()) / draws**0.5


@pytest.mark.parametrize(
    "machine",
    [
        lambda x: PatchBayes(x, 3),
        lambda x: EquivariantPatchBayes(x, 3, "circular"),
        lambda x: BoundaryBrokenPatchBayes(x, 3),
    ],
    ids=["local", "equivariant on the torus", "boundary-broken"],
)
def test_risk_is_the_trace_where_each_pixel_is_a_posterior_mean(machine):
    """MSE = sigma^2 E tr J on the training set, as for any posterior mean, though J is not symmetric."""
    train = images(4, height=4, width=4)
    risk, gap, error = risk_and_gap(machine(train), train, 0.4, 6000)
    assert error < 0.01 * risk and abs(gap) < 3.5 * error


def test_zeros_taken_for_noisy_intensities_are_not_optimal():
    """They carry no noise; the identity fails, and the boundary-broken machine, which knows, has the smaller risk."""
    train = images(4, height=4, width=4)
    taken, gap, error = risk_and_gap(EquivariantPatchBayes(train, 3, "zero"), train, 0.4, 6000)
    assert abs(gap) > 6 * error
    assert risk_and_gap(BoundaryBrokenPatchBayes(train, 3), train, 0.4, 6000)[0] < 0.9 * taken


def test_queries_in_chunks(monkeypatch):
    f, y = EquivariantPatchBayes(images(3), 3), images(2, seed=1)
    whole = f(y, 0.3)
    monkeypatch.setattr("gahb_theory.denoisers.exact.equivariant.QUERIES", 7)
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


@pytest.mark.parametrize("machine", [PatchBayes, EquivariantPatchBayes, BoundaryBrokenPatchBayes])
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
    "f",
    [
        PatchBayes(images(4), 3),
        EquivariantPatchBayes(images(4), 3),
        BoundaryBrokenPatchBayes(images(4), 3),
        WienerPatchBayes(images(20)),
    ],
)
def test_conformance(f):
    gt.testing.check_denoiser(f, (1, 5, 6), torch.float64)
    with pytest.raises(ValueError, match=r"knows images of shape \(1, 5, 6\), got images of shape \(1, 6, 5\)"):
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
