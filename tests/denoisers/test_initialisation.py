"""Weights are a function of the seed alone, whatever surrounds the constructor, and sizes are known before building."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import DiT, kernels_for
from gahb_theory.denoisers.networks import initialisation
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.initialisation import on_meta
from gahb_theory.denoisers.networks.ircnn import IRCNN

NETWORKS = {
    "UNet": lambda seed: gt.UNet(4, 2, 3, seed=seed),
    "SmoothUNet": lambda seed: gt.denoisers.SmoothUNet(3, 2, 3, seed=seed),
    "UNet, one scale": lambda seed: gt.UNet(3, 1, seed=seed),
    "BFCNN": lambda seed: gt.BFCNN(6, 5, 2, seed=seed),
    "DnCNN": lambda seed: gt.DnCNN(4, 4, 3, seed=seed),
    "DnCNN, not normalised": lambda seed: gt.DnCNN(4, 4, 3, normalised=False, seed=seed),
    "IRCNN": lambda seed: IRCNN(5, 3, seed=seed),
    "FFDNet": lambda seed: FFDNet(5, 4, 3, seed=seed),
    "DRUNet": lambda seed: DRUNet(3, 2, 3, seed=seed),
    "DilatedUNet": lambda seed: gt.DilatedUNet(4, 2, seed=seed),
    "DilatedUNet, biased": lambda seed: gt.DilatedUNet(4, bias=True, seed=seed),
    "RecursiveCNN": lambda seed: gt.RecursiveCNN(4, 2, 2, bias=True, seed=seed),
    "StagedCNN": lambda seed: gt.StagedCNN(4, 2, 3, bias=True, seed=seed),
    "ConditionedUNet": lambda seed: gt.ConditionedUNet(8, 2, 3, seed=seed),
    "DiT": lambda seed: DiT(16, 4, 16, 3, 2, window=3, image_channels=3, seed=seed),
    "FullyConnected": lambda seed: gt.FullyConnected(8, 16, 3, seed=seed),
    "LocallyConnected": lambda seed: gt.LocallyConnected(8, 4, 3, image_channels=2, seed=seed),
    "WindowedCNN": lambda seed: gt.WindowedCNN(4, kernels_for(9, 6), 3, 1, seed=seed),
    "LinearDenoiser": lambda seed: gt.LinearDenoiser(8, 2),
    "LinearConvolution": lambda seed: gt.LinearConvolution(5, 3),
}
EVERY = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS.keys())


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def test_the_weights_of_a_seed_are_those_of_the_global_generator_of_torch():
    """The first layer is drawn as torch draws it, then again as He does; so networks of earlier versions come again."""
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(7)
    reference = torch.nn.Linear(64, 32, bias=False)
    torch.nn.init.kaiming_normal_(reference.weight)
    torch.random.set_rng_state(torch_state)
    assert torch.equal(gt.FullyConnected(8, 32, 2, seed=7).layers[0].weight, reference.weight)


def test_threads_build_the_same_networks_and_disturb_nobody():
    expected = [gt.UNet(8, 2, seed=s) for s in range(3)]
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda i: gt.UNet(8, 2, seed=i % 3), range(24)))
    assert all(same(f, expected[i % 3]) for i, f in enumerate(built))

    state = torch.random.get_rng_state()  # a user draws from the global generator while networks are built
    stop = threading.Event()

    def builder():
        while not stop.is_set():
            gt.BFCNN(4, 4, seed=1)

    try:
        torch.manual_seed(0)
        alone = [torch.rand(1) for _ in range(300)]
        torch.manual_seed(0)
        thread = threading.Thread(target=builder)
        thread.start()
        together = [torch.rand(1) for _ in range(300)]
        stop.set()
        thread.join()
    finally:
        torch.random.set_rng_state(state)
    assert alone == together


@EVERY
def test_surroundings_do_not_matter(build):
    expected = build(5)
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            built = build(5)
    finally:
        torch.set_default_dtype(default)
        torch.set_default_device(None)
    assert same(built, expected)
    for p in built.parameters():
        assert (p.dtype, p.device.type, p.requires_grad, p.is_inference()) == (torch.float32, "cpu", True, False)
    with torch.no_grad():
        assert same(build(5), expected)


@EVERY
def test_the_number_of_parameters_is_known_before_they_are_made(build, monkeypatch):
    count = sum(p.numel() for p in build(0).parameters())
    monkeypatch.setattr(initialisation, "MOST_PARAMETERS", count)
    build(0)
    monkeypatch.setattr(initialisation, "MOST_PARAMETERS", count - 1)
    with pytest.raises(ValueError, match=f"would have {count:,} parameters in"):
        build(0)


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (lambda: gt.BFCNN(depth=2**31), "79,302,276,080,640"),
        (lambda: gt.BFCNN(channels=1, depth=10**8), "999,999,998"),  # few, but its layers would never end
        (lambda: gt.UNet(channels=10**6), r"about 10\^15"),
        (lambda: gt.DnCNN(depth=2**31), "parameters"),
        (lambda: gt.DilatedUNet(channels=10**6), "226,000,050,000,000"),
        (lambda: gt.RecursiveCNN(hidden=2**31), "parameters"),
        (lambda: gt.StagedCNN(stages=2**31), "parameters"),
        (lambda: gt.ConditionedUNet(channels=8 * 10**6), "parameters"),
        (lambda: DiT(depth=2**31), "parameters"),
        (lambda: DiT(size=2**20), "parameters"),
        (lambda: gt.FullyConnected(size=10**5), "parameters"),
        (lambda: gt.FullyConnected(size=8, depth=2**31), "parameters"),
        (lambda: gt.LocallyConnected(size=10**4), "parameters"),
        (lambda: gt.LinearConvolution(kernel=10**6 + 1), "1,000,002,000,001"),
        (lambda: gt.WindowedCNN(kernels=(10**5 + 1,) * 3), "parameters"),
        (lambda: gt.BFCNN(channels=10**30), r"about 10\^62"),
        (lambda: IRCNN(channels=10**6), "45,000,024,000,001"),
        (lambda: FFDNet(depth=2**31), "parameters"),
        (lambda: DRUNet(blocks=2**31), "parameters"),
    ],
)
def test_networks_that_are_too_large_are_refused_at_once(build, parameters):
    with pytest.raises(ValueError, match=rf"would have .*({parameters}).*; at most 2e\+09 parameters in 10,000 layers"):
        build()


def test_an_outline_has_shapes_and_no_values():
    with on_meta():
        shapes = gt.UNet(4, 2)
    f = gt.UNet(4, 2)
    assert {k: v.shape for k, v in shapes.state_dict().items()} == {k: v.shape for k, v in f.state_dict().items()}
    assert all(p.is_meta for p in shapes.parameters())
    assert same(gt.UNet(4, 2), f)


def test_numbers_of_numpy_name_the_same_network_and_booleans_none(unchecked):
    f = gt.UNet(np.int32(4), np.int64(2), np.uint8(1), seed=np.int64(3))
    assert same(f, gt.UNet(4, 2, seed=3))
    assert all(type(v) is int for v in f.configuration.values())
    for bad in (True, np.bool_(True), torch.tensor(True), 4.0):
        with pytest.raises(TypeError, match="channels must be an integer"):
            gt.UNet(bad, 2)
    with pytest.raises(TypeError, match="seed must be an integer, got NoneType"):
        gt.UNet(4, 2, seed=None)


def test_large_seeds_are_seeds_of_their_own():
    """torch looks at 32 bits of a seed only, so that 0 and 2^40 would be one."""
    a, b, c = (gt.BFCNN(4, 3, seed=s) for s in (0, 2**40, 2**41))
    assert not same(a, b) and not same(b, c)
