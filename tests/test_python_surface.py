"""The first tasks of a new user in Python, each in a few lines, and what is said where they go wrong."""

import json
import shutil

import numpy as np
import pytest
import torch

import gahb_theory as gt


class WithoutSigma(torch.nn.Module):
    """A network as one finds it: no noise level."""

    def __init__(self):
        super().__init__()
        self.kernel = torch.nn.Parameter(torch.arange(1.0, 10).reshape(1, 1, 3, 3) / 45)

    def forward(self, y):
        return torch.nn.functional.conv2d(y, self.kernel, padding=1)


@pytest.fixture(scope="module")
def curve():
    """Of the denoiser that halves: a curve that is no power law, over paired images."""
    x = gt.Disks(size=16).sample(6)
    return gt.psnr_curve(lambda y, sigma: 0.9 * y, x, [0.05, 0.1, 0.2, 0.4])


def test_a_slope_takes_a_curve(curve):
    fit = gt.fit_slope(curve)
    assert fit == gt.fit_slope(curve.sigmas, curve.mse_per_image)
    assert fit.low < fit.value < fit.high
    np.testing.assert_array_equal(gt.local_slopes(curve), gt.local_slopes(curve.sigmas, curve.mse_per_image))


def test_decibels_are_no_errors(curve, unchecked):
    for call in (gt.fit_slope, gt.local_slopes):
        with pytest.raises(ValueError, match="fall as decibels do"):
            call(curve.sigmas, curve.psnr)
        with pytest.raises(ValueError, match="fall as decibels do"):
            call(curve.sigmas[::-1], curve.psnr_per_image[::-1])
        with pytest.raises(TypeError, match="or give a PSNRCurve alone"):
            call(curve.sigmas)
        with pytest.raises(TypeError, match="leave mse out"):
            call(curve, curve.mse_per_image)


def test_one_noise_level_is_a_curve_of_one_point(curve):
    x = gt.Disks(size=16).sample(6)
    one = gt.psnr_curve(lambda y, sigma: 0.9 * y, x, 0.1)
    assert one.psnr.shape == (1,)
    assert one.psnr[0] == curve.psnr[1]


def test_a_curve_is_a_table(curve):
    rows = curve.rows()
    assert [row["sigma"] for row in rows] == [0.05, 0.1, 0.2, 0.4]
    assert rows[1]["input_psnr"] == pytest.approx(20)
    assert rows[2]["psnr"] == curve.psnr[2]
    assert rows[3]["mse"] == pytest.approx(curve.mse_per_image[3].mean())


def test_copies_take_what_generate_returns():
    x = gt.Disks(size=16).sample(4)
    f = gt.EmpiricalBayes(x)
    samples = gt.generate(f, (3, 1, 16, 16), step=0.2, beta=1.0)
    found = gt.copies(samples, x)
    assert found.share.value == 1
    assert found.mean.value == gt.copies(samples.images, x).mean.value
    from gahb_theory.generalization import paired_similarity

    assert paired_similarity(samples, samples).mean.value == pytest.approx(1)


@pytest.mark.parametrize(
    "use",
    [
        lambda f, x: gt.psnr_curve(f, x, 0.1),
        lambda f, x: gt.jacobian(f, x[:1], 0.1),
        lambda f, x: gt.generate(f, (2, 1, 16, 16)),
        lambda f, x: gt.train(f, x, images_seen=16, batch_size=8),
        lambda f, x: gt.sure(f, x, 0.1),
        lambda f, x: gt.optimality(f, gt.GaussianField(size=16), 0.1, images=2),
    ],
    ids=["curve", "jacobian", "generate", "train", "sure", "optimality"],
)
def test_a_network_without_sigma_is_told_of_adapt(use, unchecked):
    x = gt.Disks(size=16).sample(8)
    with pytest.raises(TypeError, match=r"f takes no sigma.*gt.adapt\(f\) makes it one"):
        use(WithoutSigma().eval(), x)


def test_an_error_inside_a_denoiser_stays_its_own():
    def broken(y, sigma):
        return y + "a"

    with pytest.raises(TypeError, match=r"unsupported operand|can only concatenate|must be"):
        gt.psnr_curve(broken, gt.Disks(size=16).sample(2), 0.1)


def test_an_adapted_network_is_analysed_drawn_and_trained():
    y = gt.add_noise(gt.Disks(size=16).sample(1), 0.1)
    f = gt.adapt(WithoutSigma().eval())
    E = gt.jacobian(f, y, 0.1).eigenbasis()
    figure = E.plot(5)
    assert [bool(ax.images) for ax in figure.axes][:5] == [True] * 5
    assert f"{float(E.eigenvalues[4]):.2f}" in figure.axes[4].get_title()
    assert sum(bool(ax.images) for ax in figure.axes) == 5


def test_a_matrix_that_is_not_orthonormal_is_no_basis(unchecked):
    skew = np.random.default_rng(0).standard_normal((16, 16))
    with pytest.raises(ValueError, match="orthonormal rows"):
        gt.DenseBasis(skew, (1, 4, 4))
    orthonormal = [np.linalg.qr(np.random.default_rng(seed).standard_normal((16, 16)))[0] for seed in (0, 1)]
    a, b = (gt.DenseBasis(matrix, (1, 4, 4)) for matrix in orthonormal)
    assert gt.compare(a, b).overlap.max() <= 1 + 1e-9


def folder_of_photographs(path, size=72):
    from PIL import Image

    path.mkdir()
    for number in range(2):
        pixels = 255 * gt.Photographs(size=size).sample(1, seed=number)[0, 0].numpy()
        Image.fromarray(pixels.astype(np.uint8)).save(path / f"{number}.png")
    return path


def same(f, g):
    return all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))


def test_training_takes_a_folder_or_a_file(tmp_path):
    photographs = folder_of_photographs(tmp_path / "photographs")
    start, few = gt.UNet(channels=4, blocks=1), {"images_seen": 8, "batch_size": 4}
    expected = gt.train(start, gt.Photographs(photographs), **few)
    assert same(gt.train(start, str(photographs), **few), expected)
    assert same(gt.train(start, photographs, **few), expected)
    np.save(tmp_path / "x.npy", gt.Disks(size=16).sample(6).numpy())
    assert same(gt.train(start, tmp_path / "x.npy", **few), gt.train(start, gt.dataset(tmp_path / "x.npy"), **few))
    with pytest.raises(FileNotFoundError, match="nothing is at"):
        gt.train(start, "nowhere", **few)


def test_a_finished_training_goes_on_to_a_larger_budget(tmp_path):
    """By the schedule of the larger budget from there on: the same as two runs of the loop by hand; and it resumes."""
    start, x, recipe = gt.UNet(channels=4, blocks=1), gt.Disks(size=16), {"batch_size": 8}
    short = gt.train(start, x, 32, run=tmp_path / "run", **recipe)
    longer = gt.train(start, x, 64, run=tmp_path / "run", **recipe)
    assert not same(short, longer)
    assert same(longer, gt.load_denoiser(tmp_path / "run"))
    assert same(longer, gt.train(start, x, 64, run=tmp_path / "run", **recipe)), "the same call finds it finished"
    whole = gt.train(start, x, 64, **recipe)
    assert not same(longer, whole), "the first half had the shorter schedule"
    about = json.loads((tmp_path / "run" / "config.json").read_text())
    assert about["extended_from"] == [32]
    assert about["recipe"]["images_seen"] == 64
    third = gt.train(start, x, 80, run=tmp_path / "run", **recipe)
    assert not same(third, longer)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["extended_from"] == [32, 64]
    with pytest.raises(FileExistsError, match=r"trained on 80 images, and fewer were asked for: 64"):
        gt.train(start, x, 64, run=tmp_path / "run", **recipe)


def test_what_else_differs_is_refused_by_its_name(tmp_path):
    start, x = gt.UNet(channels=4, blocks=1), gt.Disks(size=16)
    gt.train(start, x, 16, run=tmp_path / "run", batch_size=8)
    with pytest.raises(FileExistsError) as refused:
        gt.train(start, x, 32, run=tmp_path / "run", batch_size=8, sigma_max=0.5)
    message = str(refused.value)
    assert "recipe.sigma_max: 1.0 there, 0.5 now" in message
    assert "kernel_rate" not in message
    assert len(message) < 300


def test_a_training_that_was_stopped_is_finished_before_it_is_extended(tmp_path, monkeypatch):
    from gahb_theory.training import loop

    start, x, calls = gt.UNet(channels=4, blocks=1), gt.Disks(size=16), []
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    original = loop._update_average
    monkeypatch.setattr(loop, "_update_average", stop)
    with pytest.raises(KeyboardInterrupt):
        gt.train(start, x, 64, run=tmp_path / "run", batch_size=8)
    with pytest.raises(FileExistsError, match=r"has seen 24 of 64 images; finish it with images_seen=64"):
        gt.train(start, x, 128, run=tmp_path / "run", batch_size=8)


def test_a_configuration_from_which_nothing_was_computed_is_not_in_the_way(tmp_path):
    """A call that died before its first checkpoint does not block the corrected one."""
    start, x = gt.UNet(channels=4, blocks=1), gt.Disks(size=16)
    gt.train(start, x, 16, run=tmp_path / "run", batch_size=8)
    (tmp_path / "run" / "state.safetensors").unlink()
    shutil.rmtree(tmp_path / "run" / "denoiser")
    gt.train(start, x, 16, run=tmp_path / "run", batch_size=8, sigma_max=0.5)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["recipe"]["sigma_max"] == 0.5
