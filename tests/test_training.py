"""Training: the recipe, exact resume, several processes, and what is refused."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import gahb_theory as gt
from gahb_theory.commands.train import Train
from gahb_theory.training import loop as training
from gahb_theory.training.loop import train
from gahb_theory.training.recipes import Recipe


@pytest.fixture
def small():
    """A network and images small enough for a test."""
    return gt.UNet(channels=4, blocks=1), gt.Disks(size=16)


def weights(f):
    return {name: tensor.clone() for name, tensor in f.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), f"{name} differs by {float((a[name] - b[name]).abs().max())}"


def test_training_denoises(small):
    f, X = small
    g = train(f, X, images_seen=4000, batch_size=16, learning_rate=5e-3, seed=1)
    x = X.sample(64, seed=99)
    y = gt.add_noise(x, 0.3, seed=5)
    assert not g.training
    assert gt.psnr(x, g(y, 0.3)) > gt.psnr(x, y) + 3, "a few thousand images are worth 3 dB at sigma = 0.3"


def test_the_given_network_is_left_as_it_was(small):
    f, X = small
    f.encoder[0][0].weight.requires_grad_(False)
    before = weights(f)
    with pytest.warns(
        UserWarning, match=r"1 of the \d+ parameters of f are frozen .* trains a copy with all of them free"
    ):
        g = train(f, X, images_seen=64, batch_size=16)
    assert_same(weights(f), before)
    assert f.training
    assert not f.encoder[0][0].weight.requires_grad
    assert not torch.equal(g.encoder[0][0].weight, f.encoder[0][0].weight), "the copy is trained whole"


def test_same_recipe_same_bits_and_the_seed_matters(small):
    f, X = small
    a, b, c = (train(f, X, images_seen=320, batch_size=16, seed=seed) for seed in (3, 3, 4))
    assert_same(weights(a), weights(b))
    assert not torch.equal(a.encoder[0][0].weight, c.encoder[0][0].weight)


def test_a_fixed_set_and_a_dataset_of_the_same_images_train_alike(small):
    f, X = small
    x = X.sample(20, seed=0)
    a = train(f, x, images_seen=160, batch_size=16)
    b = train(f, TensorDataset(x), images_seen=160, batch_size=16)
    assert_same(weights(a), weights(b))


def test_sigma_distributions():
    u = torch.linspace(0, 1 - 1e-6, 1001, dtype=torch.float64)
    square = Recipe(sigma_distribution="square", sigma_min=0.0).draw_sigma(u)
    torch.testing.assert_close(square, u**2)
    torch.testing.assert_close(
        Recipe(sigma_distribution="uniform", sigma_min=0.2, sigma_max=0.7).draw_sigma(u), 0.2 + 0.5 * u
    )
    log = Recipe(sigma_distribution="log_uniform", sigma_min=0.01).draw_sigma(u)
    torch.testing.assert_close(log.log(), u * torch.tensor(100.0, dtype=torch.float64).log() - 4.605170185988091)
    general = Recipe(sigma_distribution="square", sigma_min=0.04, sigma_max=0.25).draw_sigma(u)
    torch.testing.assert_close(general, (0.2 + 0.3 * u) ** 2)


def test_schedules():
    recipe = Recipe(images_seen=32_000, batch_size=32, learning_rate=1.0)
    assert recipe.steps == 1000
    assert recipe.rate(0, 1.0) == pytest.approx(0.1), "the warm-up takes the first hundredth of the steps"
    assert recipe.rate(500, 1.0) == pytest.approx(0.5)
    assert recipe.rate(999, 1.0) < 1e-5
    halving = Recipe(images_seen=32_000, batch_size=32, learning_rate=1.0, schedule="halving")
    assert [halving.rate(step, 1.0) for step in (99, 100, 199, 200, 999)] == [1, 0.5, 0.5, 0.25, 2**-9]


def test_weight_of_the_loss(small, monkeypatch):
    """With plain gradient steps in place of Adam, the weight at one noise level is only a factor of the learning rate."""
    f, X = small

    def plain(model, recipe):
        return [(torch.optim.SGD(model.parameters(), lr=recipe.learning_rate), recipe.learning_rate)]

    monkeypatch.setattr(training, "_optimisers", plain)
    level = {
        "sigma_distribution": "uniform",
        "sigma_min": 0.5,
        "sigma_max": 0.5 + 1e-9,
        "images_seen": 16,
        "batch_size": 16,
    }
    weight = (0.25 + 1e-4) ** -0.75
    a = train(f, X, learning_rate=1e-3, weight_power=1.5, **level)
    b = train(f, X, learning_rate=1e-3 * weight, weight_power=0.0, **level)
    torch.testing.assert_close(a.encoder[0][0].weight, b.encoder[0][0].weight, rtol=0, atol=1e-6)
    assert not torch.equal(a.encoder[0][0].weight, f.encoder[0][0].weight)


def test_equal_input_scale_makes_training_independent_of_how_loud_the_batch_is():
    """Images and noise 8 times as loud (exact in floating point) give the same network, for a loss divided by 64."""
    level = {
        "images_seen": 64,
        "batch_size": 16,
        "sigma_distribution": "uniform",
        "weight_power": 0.0,
        "gradient_limit": None,
    }
    x = gt.Disks(size=16).sample(32, seed=0)
    f = gt.UNet(8, 1)
    quiet = train(f, x, sigma_min=0.5, sigma_max=0.5 + 1e-9, **level)
    loud = train(f, 8 * x, sigma_min=4.0, sigma_max=4.0 + 8e-9, **level)
    unlike = train(f, 8 * x, sigma_min=4.0, sigma_max=4.0 + 8e-9, input_scale="unit", **level)
    y = gt.add_noise(x, 0.5)
    with torch.no_grad():
        moved = float((quiet(y, 0.5) - f.eval()(y, 0.5)).norm())
        assert float((quiet(y, 0.5) - loud(y, 0.5)).norm()) < 1e-2 * moved, "up to the 1e-6 beside each variance"
        assert float((quiet(y, 0.5) - unlike(y, 0.5)).norm()) > 0.02 * moved


def test_only_homogeneous_networks_are_scaled():
    y = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    scale = training._input_scale(gt.UNet(4, 1), 5 * y, Recipe())
    torch.testing.assert_close(scale.flatten(), 5 * y.flatten(1).std(1, correction=0), rtol=1e-4, atol=0)
    one = torch.ones(3, 1, 1, 1)
    assert torch.equal(training._input_scale(gt.UNet(4, 1), y, Recipe.published()), one)
    assert torch.equal(training._input_scale(gt.DnCNN(4, 4), y, Recipe()), one)


def test_frozen_normalisation_in_the_last_part(small):
    """With a frozen part of 1 the running deviations stay; with none they are those of the last batches."""
    f, X = small
    frozen = train(f, X, images_seen=160, batch_size=16, frozen_part=1.0)
    free = train(f, X, images_seen=160, batch_size=16, frozen_part=0.0)
    before = [b for n, b in f.named_buffers() if n.endswith("running_sd")]
    assert all(torch.equal(a, b) for a, b in zip(frozen.buffers(), before, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(free.buffers(), before, strict=True))


def test_a_long_gradient_is_shortened_and_a_usual_one_left():
    model = gt.LinearConvolution(kernel=1, image_channels=1)
    typical, recipe = torch.zeros(()), Recipe(gradient_limit=10.0)

    def limited(length):
        model.weight.grad = torch.full((1, 1, 1, 1), length)
        assert float(training._limit_gradient([model.weight], typical, recipe)) == pytest.approx(length, rel=1e-6)
        return float(model.weight.grad.norm())

    assert limited(2.0) == pytest.approx(2.0) == float(typical), "the first gradient is the usual one"
    assert limited(19.0) == pytest.approx(19.0)
    usual = 2.0 + 0.02 * 17.0
    assert float(typical) == pytest.approx(usual)
    assert limited(1000.0) == pytest.approx(10 * usual, rel=1e-5)
    assert float(typical) == pytest.approx(usual * (1 + 0.02 * 9)), "an outlier moves the mean by its shortened length"
    model.weight.grad = torch.full((1, 1, 1, 1), 1e6)
    training._limit_gradient([model.weight], typical, Recipe(gradient_limit=None))
    assert float(model.weight.grad) == 1e6


def test_published_recipe_has_the_law_and_loss_of_the_paper():
    recipe = Recipe.published()
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(recipe.draw_sigma(u), u**2)
    assert torch.equal(recipe.weight(u), torch.ones(11, dtype=torch.float64))
    assert recipe.learning_rate == 1e-3
    assert len(training._optimisers(gt.UNet(8, 1), recipe)) == 1
    assert len(training._optimisers(gt.UNet(8, 1), Recipe())) == 2


def test_run_directory(small, tmp_path):
    f, X = small
    g = train(f, X, images_seen=320, batch_size=16, run=tmp_path / "run")
    loaded = gt.load_denoiser(tmp_path / "run")
    assert_same(weights(g), weights(loaded))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["images_seen"] == 320
    assert set(lines[-1]["psnr"]) == {"0.05", "0.1", "0.2", "0.5"}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["recipe"]["images_seen"] == 320
    assert config["data"]["class"] == "Disks"
    assert config["network"] == {"class": "UNet", "channels": 4, "blocks": 1, "image_channels": 1}
    again = train(f, X, images_seen=320, batch_size=16, run=tmp_path / "run")
    assert_same(weights(again), weights(g))
    with pytest.raises(FileExistsError, match="recipe"):
        train(f, X, images_seen=320, batch_size=16, sigma_max=0.5, run=tmp_path / "run")
    with pytest.raises(FileExistsError, match="data"):
        train(f, gt.Disks(size=16, edge=0.7), images_seen=320, batch_size=16, run=tmp_path / "run")
    (tmp_path / "run" / "state.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(
        ValueError, match=r"damaged .* it is now state.safetensors.damaged, and the same call begins anew"
    ):
        train(f, X, images_seen=320, batch_size=16, run=tmp_path / "run")
    assert (tmp_path / "run" / "state.safetensors.damaged").read_bytes() == b"no checkpoint"
    anew = train(f, X, images_seen=320, batch_size=16, run=tmp_path / "run")
    assert_same(weights(anew), weights(g))


SCRIPT = """
    import sys, torch
    import gahb_theory as gt
    from gahb_theory.training import loop as training
    torch.set_num_threads(1)
    training.SECONDS_BETWEEN_CHECKPOINTS = 0.2
    gt.train(gt.UNet(channels=8, blocks=1), gt.CAlpha(size=16), images_seen=4800, batch_size=16, run=sys.argv[1])
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "run.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


@pytest.fixture(scope="module")
def uninterrupted():
    """Weights of the run of the script, never stopped."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    f = train(gt.UNet(channels=8, blocks=1), gt.CAlpha(size=16), images_seen=4800, batch_size=16)
    torch.set_num_threads(threads)
    return weights(f)


def stop_after_a_checkpoint(script, run, number):
    """Start the script, send a signal soon after its first checkpoint, and return its exit code."""
    process = subprocess.Popen([sys.executable, script, run], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (run / "state.safetensors").exists():
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < until, "no checkpoint within two minutes"
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    return process.wait(timeout=60)


@pytest.mark.fault("killed in the middle", "training")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])  # Ctrl-C takes the way of SIGTERM
def test_a_stopped_run_goes_on_and_ends_with_the_same_bits(number, script, uninterrupted, tmp_path):
    run = tmp_path / "run"
    code = stop_after_a_checkpoint(script, run, number)
    assert code != 0, "the run was to be stopped before its end"
    if number == signal.SIGTERM:
        assert code == 143
    seen = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["images_seen"]
    assert seen < 4800, "the run was to be stopped before its end"
    subprocess.run([sys.executable, script, run], check=True)
    assert_same(weights(gt.load_denoiser(run)), uninterrupted)
    counts = [json.loads(line)["images_seen"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert counts == sorted(set(counts)), "the log holds each point once"


TWO = """
    import os, signal, sys, torch
    import gahb_theory as gt
    from gahb_theory.training import loop as training
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    training.SECONDS_BETWEEN_CHECKPOINTS = -1
    save = training._save

    def save_and_stop(run, state, step, *rest):
        save(run, state, step, *rest)
        if str(run).endswith("stopped") and os.environ.get("STOP") and step == 10:
            os.kill(os.getpid(), signal.SIGKILL)

    training._save = save_and_stop
    rank = os.environ["RANK"]
    for name in sys.argv[1:]:
        run = name + ("" if rank == "0" else "-of-another-disk")
        f = gt.train(gt.UNet(channels=8, blocks=1), gt.Disks(size=16), images_seen=320, batch_size=16, run=run)
        torch.save(f.state_dict(), name + "-" + rank + ".pt")
    torch.distributed.destroy_process_group()
"""


@pytest.mark.fault("lost worker", "training")
@pytest.mark.slow
def test_two_processes(tmp_path):
    """Both end with the same weights, stopped or not, without a common disk; one process alone is refused."""
    path = tmp_path / "two.py"
    path.write_text(textwrap.dedent(TWO))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", path]

    def launch(*runs, **more):
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | more
        return subprocess.run([*command, *runs], env=environment, stderr=subprocess.DEVNULL, check=False).returncode

    run, stopped = tmp_path / "run", tmp_path / "stopped"
    assert launch(run, stopped, STOP="1") != 0
    assert (tmp_path / "run-0.pt").exists()
    assert not (tmp_path / "stopped-0.pt").exists()
    assert launch(stopped) == 0
    first, *others = (torch.load(f"{name}-{rank}.pt", weights_only=True) for name in (run, stopped) for rank in (0, 1))
    for other in others:
        assert_same(first, other)
    assert_same(weights(gt.load_denoiser(run)), first)
    assert not (tmp_path / "run-of-another-disk").exists()
    f, X = gt.UNet(channels=8, blocks=1), gt.Disks(size=16)
    with pytest.raises(FileExistsError, match="processes: 2 there, 1 now"):
        train(f, X, images_seen=320, batch_size=16, run=run)
    alone = train(f, X, images_seen=320, batch_size=16)
    x = X.sample(32, seed=7)
    y = gt.add_noise(x, 0.2)
    with torch.no_grad():
        both, one = gt.load_denoiser(run)(y, 0.2), alone(y, 0.2)
    # the same images and noise; the normalisation sees half a batch in each process, hence not the same bits
    assert abs(float(gt.psnr(x, both) - gt.psnr(x, one))) < 1


@pytest.mark.slow
def test_the_command_for_several_processes(tmp_path):
    """The line that the head of `training` and the help of `gahb train` show, with smaller numbers."""
    line = next(line for line in training.__doc__.splitlines() if "torchrun" in line)
    assert line.strip() == "torchrun --nproc-per-node 8 -m -- gahb_theory train --run runs/mine ..."
    assert line.strip().removesuffix(" --run runs/mine ...") in Train.__doc__
    small = "--channels 4 --blocks 1 --device cpu --recipe.images-seen 32 images:disks --images.size 16"
    line = line.replace("-node 8", "-node 2").replace("...", small)  # before paths, which may hold an 8
    line = line.replace("torchrun", f"{sys.executable} -m torch.distributed.run")
    words = line.replace("runs/mine", str(tmp_path / "run")).split()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert gt.load_denoiser(tmp_path / "run").channels == 4


def test_data_that_are_not_finite_are_refused_at_once(small, tmp_path):
    f, _ = small

    class Broken:
        def sample(self, n, seed=0, start=0):
            x = torch.full((n, 1, 16, 16), 0.5)
            return x if seed else x * float("nan")

    with pytest.raises(ValueError, match="data must be finite, got 4096 of 4096 values"):
        train(f, Broken(), images_seen=64, batch_size=16, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(small, tmp_path, monkeypatch):
    f, _ = small

    class Breaks:
        def sample(self, n, seed=0, start=0):
            x = gt.Disks(size=16).sample(n, seed=seed, start=start)
            x[max(0, 64 - start) :] = float("nan")
            return x

    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(FloatingPointError, match="last checkpoint is good"):
        train(f, Breaks(), images_seen=160, batch_size=16, run=tmp_path / "run")
    kept = gt.load_denoiser(tmp_path / "run")
    assert all(bool(torch.isfinite(p).all()) for p in kept.parameters())
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["images_seen"] == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images_seen": 0}, "images_seen"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"sigma_max": 0.0}, "sigma_max"),
        ({"sigma_max": float("inf")}, "sigma_max"),
        ({"sigma_min": 2.0}, "sigma_min"),
        ({"sigma_min": 0.0}, "sigma_min above 0"),
        ({"optimiser": "sgd"}, "muon"),
        ({"kernel_rate": 0.0}, "kernel_rate"),
        ({"input_scale": "one"}, "deviation"),
        ({"gradient_limit": 1.0}, "above 1"),
        ({"frozen_part": 1.5}, "frozen_part"),
        ({"sigma_distribution": "normal"}, "square"),
        ({"schedule": "steps"}, "cosine"),
        ({"weight_power": float("nan")}, "weight_power"),
    ],
)
def test_refused_recipes(change, message, unchecked):
    with pytest.raises(ValueError, match=message):
        Recipe(**change)


def test_refused_data_and_networks(small, unchecked):
    f, X = small
    with pytest.raises(TypeError, match="torch module"):
        train(lambda y, sigma: y, X, images_seen=16)
    with pytest.raises(TypeError, match="image class"):
        train(f, 3, images_seen=16)
    with pytest.raises(TypeError, match="floating point"):
        train(f, torch.zeros(8, 1, 16, 16, dtype=torch.uint8), images_seen=16)
    with pytest.raises(TypeError, match="floating-point tensor"):
        train(f, TensorDataset(torch.zeros(8, 16, 16, dtype=torch.uint8)), images_seen=16)
    with pytest.raises(ValueError, match="multiples of 2"):
        train(f, torch.rand(8, 1, 15, 16, generator=torch.Generator().manual_seed(0)), images_seen=16)


def test_numbers_of_every_library_make_the_same_recipe(unchecked):
    given = Recipe(
        images_seen=np.int64(64), learning_rate=np.float32(0.5), sigma_max=torch.tensor(2.0), seed=np.int8(3)
    )
    assert given == Recipe(images_seen=64, learning_rate=0.5, sigma_max=2.0, seed=3)
    assert all(type(value) in (int, float, str) for value in vars(given).values())
    for wrong in (
        {"seed": None},
        {"seed": True},
        {"frozen_part": True},
        {"images_seen": 64.0},
        {"gradient_limit": "10"},
    ):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            Recipe(**wrong)


def test_arguments_that_are_refused(small, tmp_path, unchecked):
    f, X = small
    with pytest.raises(TypeError, match=r"a Recipe has no 'epochs'; its fields are images_seen, batch_size"):
        train(f, X, epochs=3)
    with pytest.raises(ValueError, match="images_seen must be between 1 and 1000000000, got 2147483648"):
        train(f, X, images_seen=2**31)
    with pytest.raises(ValueError, match="batch_size must be between 1 and 1048576"):
        train(f, X, images_seen=16, batch_size=2**31)
    with pytest.raises(TypeError, match="run must be a string or"):
        train(f, X, images_seen=16, run=3)
    with pytest.raises(TypeError, match=r"all be float32, or all float64.*float16"):
        train(gt.UNet(4, 1).half(), X, images_seen=16)
    with pytest.raises(ValueError, match="must have parameters"):
        train(gt.adapt(lambda y: y), X, images_seen=16)
    with pytest.raises(ValueError, match="must have the 1 channels of data"):
        train(f, X, images_seen=16, validation=torch.zeros(2, 3, 16, 16))
    with pytest.warns(UserWarning, match="units of 0 to 255"):
        train(f, X, images_seen=16, batch_size=16, sigma_max=25.0)


def test_a_network_that_returns_another_shape_is_refused(tmp_path, unchecked):
    """The loss would broadcast (n, 1, h, w) against (n, h, w) without a word."""

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def forward(self, y, sigma):
            return self.gain * y[:, 0]

    with pytest.raises(ValueError, match=r"the shape of its input, \(16, 1, 16, 16\), got \(16, 16, 16\)"):
        train(Flat(), gt.Disks(size=16), images_seen=16, batch_size=16, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


CONTEXTS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default device": lambda: torch.device("meta"),
}


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS.keys())
def test_what_the_caller_has_set_does_not_matter(context, small, tmp_path):
    f, X = small
    x = X.sample(20, seed=0)
    settings = {"images_seen": 64, "batch_size": 16, "validation": x[:4]}
    expected = weights(train(f, x, **settings))
    with context():
        found = train(f, x, **settings, run=tmp_path / "run")
    assert_same(weights(found), expected)
    assert_same(weights(train(f, X, images_seen=64, batch_size=16)), weights(_within(context, f, X)))


def _within(context, f, X):
    with context():
        return train(f, X, images_seen=64, batch_size=16)


def test_the_default_type_does_not_matter(small, double_by_default):
    f, X = small
    f = f.float()
    x = X.sample(20, seed=0)
    found = train(f, x, images_seen=64, batch_size=16)
    torch.set_default_dtype(torch.float32)
    assert_same(weights(found), weights(train(f, x, images_seen=64, batch_size=16)))


def test_a_network_in_double_precision(small, tmp_path):
    f, X = small
    g = train(f.double(), X, images_seen=64, batch_size=16, run=tmp_path / "run")
    assert {p.dtype for p in g.parameters()} == {torch.float64}
    assert_same(weights(train(f, X, images_seen=64, batch_size=16, run=tmp_path / "run")), weights(g))


class Level:
    """An image class that is no dataclass."""

    def __init__(self, level):
        self.level = level

    def sample(self, n, seed=0, start=0):
        return torch.full((n, 1, 16, 16), self.level)


class Items(torch.utils.data.Dataset):
    """A dataset of a user."""

    def __init__(self, level):
        self.level = level

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((1, 16, 16), self.level)


@pytest.mark.parametrize(
    "kind", [Level, Items, lambda v: TensorDataset(Level(v).sample(8)), lambda v: Level(v).sample(8)]
)
def test_other_data_are_refused_and_the_same_are_known_again(kind, small, tmp_path):
    f, _ = small
    g = train(f, kind(0.2), images_seen=32, batch_size=16, run=tmp_path)
    assert_same(weights(train(f, kind(0.2), images_seen=32, batch_size=16, run=tmp_path)), weights(g))
    with pytest.raises(FileExistsError, match=r"another configuration \(data"):
        train(f, kind(0.9), images_seen=32, batch_size=16, run=tmp_path)


def test_only_what_differs_is_named(small, tmp_path):
    f, X = small
    train(f, X, images_seen=32, batch_size=16, run=tmp_path)
    with pytest.raises(FileExistsError, match=r"configuration \(recipe.sigma_max: 1.0 there, 0.5 now\); choose"):
        train(f, X, images_seen=32, batch_size=16, sigma_max=0.5, run=tmp_path)


def test_a_refusal_leaves_nothing_in_the_way(tmp_path):
    """A size that the network does not take, then one that it takes, with the same directory."""
    with pytest.raises(ValueError, match="multiples"):
        train(gt.UNet(4, 3), gt.Disks(17), 32, batch_size=16, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(gt.UNet(4, 3), gt.Disks(16), 32, batch_size=16, run=tmp_path / "run")


def test_a_denoiser_that_is_missing_or_older_is_written_again(small, tmp_path):
    f, X = small
    g = train(f, X, images_seen=64, batch_size=16, run=tmp_path)
    file = tmp_path / "denoiser" / "model.safetensors"
    whole = file.read_bytes()
    gt.save_denoiser(f, tmp_path / "denoiser")
    for damage in (file.unlink, lambda: file.write_bytes(b""), lambda: gt.save_denoiser(f, tmp_path / "denoiser")):
        damage()
        train(f, X, images_seen=64, batch_size=16, run=tmp_path)
        assert_same(weights(gt.load_denoiser(tmp_path)), weights(g))
        assert len(file.read_bytes()) == len(whole)


@pytest.mark.fault("killed in the middle", "training")
def test_the_denoiser_is_never_behind_the_state(small, tmp_path, monkeypatch):
    f, X = small

    def killed(*_):
        assert not (tmp_path / "state.safetensors").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_denoiser", killed)
    with pytest.raises(KeyboardInterrupt):
        train(f, X, images_seen=32, batch_size=16, run=tmp_path)
    assert not (tmp_path / "state.safetensors").exists()


@pytest.mark.fault("corrupted file", "training")
@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"{}\n" + b, lambda b: b"\xff\x00", lambda b: b""]
)
def test_a_damaged_log_is_set_aside_and_does_not_stop_the_training(damage, small, tmp_path):
    f, X = small
    g = train(f, X, images_seen=64, batch_size=16, run=tmp_path)
    log = tmp_path / "log.jsonl"
    bad = damage(log.read_bytes())
    log.write_bytes(bad)
    with pytest.warns(UserWarning, match=r"log.jsonl was damaged; it is now log.jsonl.damaged"):
        again = train(f, X, images_seen=64, batch_size=16, run=tmp_path)
    assert_same(weights(again), weights(g))
    assert (tmp_path / "log.jsonl.damaged").read_bytes() == bad


@pytest.mark.fault("corrupted file", "training")
def test_a_damaged_configuration_is_made_anew_for_the_same_run_only(small, tmp_path):
    f, X = small
    g = train(f, X, images_seen=64, batch_size=16, run=tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    (tmp_path / "config.json").write_bytes(before[:50])
    with pytest.warns(UserWarning, match=r"config.json was damaged"):
        again = train(f, X, images_seen=64, batch_size=16, run=tmp_path)
    assert_same(weights(again), weights(g))
    assert (tmp_path / "config.json").read_bytes() == before
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileExistsError, match=r"the checkpoint of another run, without config\.json"):
        train(f, X, images_seen=128, batch_size=16, run=tmp_path)


@pytest.mark.fault("corrupted file", "training")
def test_a_state_of_other_shapes_is_damaged(small, tmp_path):
    from safetensors.torch import load_file, save_file

    f, X = small
    train(f, X, images_seen=64, batch_size=16, run=tmp_path)
    file = tmp_path / "state.safetensors"
    tensors = load_file(file)
    tensors["gradient_norm"] = torch.ones(1)
    save_file(tensors, file, metadata={"step": "2"})
    with pytest.raises(ValueError, match="gradient_norm has another shape"):
        train(f, X, images_seen=64, batch_size=16, run=tmp_path)


@pytest.mark.fault("two writers", "training")
def test_two_writers_are_never_in_one_directory(small, tmp_path):
    f, _ = small

    class Second(gt.Disks):
        def sample(self, n, seed=0, start=0, **kwargs):
            if start > 0:
                with pytest.raises(RuntimeError, match=r"another process trains into .*; wait for its end"):
                    train(f, gt.Disks(size=16), images_seen=64, batch_size=16, run=tmp_path)
                tried.append(start)
            return super().sample(n, seed=seed, start=start)

    tried = []
    train(f, Second(size=16), images_seen=272, batch_size=16, run=tmp_path)  # the first 256 are drawn at once
    assert tried
    assert not (tmp_path / ".lock").exists()


def test_temporary_files_of_dead_processes_are_removed(small, tmp_path):
    f, X = small
    (tmp_path / "denoiser").mkdir()
    old = tmp_path / "denoiser" / ".model.safetensors.999999.partial"
    own = tmp_path / f".state.safetensors.{os.getpid()}.partial"
    other = tmp_path / ".state.safetensors.elsewhere-999999-1-abcdef01.partial"
    for file in (old, own, other):
        file.write_bytes(b"half")
    train(f, X, images_seen=16, batch_size=16, run=tmp_path)
    assert not old.exists()
    assert own.exists(), "its process lives"
    assert other.exists(), "its host may be at work"
    os.utime(other, (0, 0))
    train(f, X, images_seen=16, batch_size=16, run=tmp_path)
    assert not other.exists()


def test_tied_parameters_are_averaged_once_and_saved(tmp_path, unchecked):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
            torch.nn.init.dirac_(self.first.weight)
            self.second = self.first

        def forward(self, y, sigma):
            return self.second(self.first(y))

    class Once(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
            torch.nn.init.dirac_(self.first.weight)

        def forward(self, y, sigma):
            return self.first(self.first(y))

    with torch.random.fork_rng():
        tied, once = Tied(), Once()
    a, b = (train(f, gt.Disks(size=16), images_seen=128, batch_size=16) for f in (tied, once))
    assert torch.equal(a.first.weight, b.first.weight)


def test_a_run_of_an_earlier_version_is_refused_in_words(small, tmp_path):
    f, X = small
    (tmp_path / "config.json").write_text(json.dumps({"data": {"class": "Disks"}, "recipe": {}, "versions": {}}))
    with pytest.raises(FileExistsError, match="an earlier version of this library began"):
        train(f, X, images_seen=64, batch_size=16, run=tmp_path)


@pytest.mark.gpu
def test_training_on_an_accelerator(accelerator, small):
    f, X = small
    g = train(f.to(accelerator), X, images_seen=320, batch_size=16)
    assert next(g.parameters()).device.type == accelerator.type


def test_recipes_refuse_what_is_no_noise_level_or_rate(unchecked):
    recipe = Recipe(images_seen=64)
    for bad in (torch.tensor([0.5, math.nan]), torch.tensor([-0.1]), torch.tensor([1.5])):
        with pytest.raises(ValueError, match="u must hold finite numbers between 0 and 1"):
            recipe.draw_sigma(bad)
    with pytest.raises(TypeError, match="u must be a dense floating-point tensor, got str"):
        recipe.draw_sigma("x")
    with pytest.raises(ValueError, match="sigma must hold finite numbers"):
        recipe.weight(torch.tensor([math.inf]))
    with pytest.raises(TypeError, match="step must be an integer, got bool True"):
        recipe.rate(True, 0.1)
    with pytest.raises(ValueError, match="highest must be finite and at least 0, got nan"):
        recipe.rate(1, math.nan)
