"""Networks in ONNX files: with onnxruntime where it is installed, and with a session of the same interface elsewhere."""

import copy
import pickle
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import OnnxNetwork

FREE = ["n", 1, "h", "w"]


def node(name, shape, kind="tensor(float)"):
    return SimpleNamespace(name=name, shape=shape, type=kind)


@pytest.fixture
def session(monkeypatch, tmp_path):
    """A file whose graph is a function of arrays, run by a package of the interface of onnxruntime."""

    def build(function, *inputs, returned=tuple(FREE)):
        class InferenceSession:
            def __init__(self, path, options, providers):
                assert providers == ["CPUExecutionProvider"] and options.intra_op_num_threads >= 1

            def get_inputs(self):
                return list(inputs)

            def get_outputs(self):
                return [node("out", list(returned))]

            def run(self, names, feeds):
                assert names == ["out"] and [*feeds] == [i.name for i in inputs]
                for each in inputs:
                    assert feeds[each.name].ndim == len(each.shape)
                return [function(*feeds.values())]

        package = ModuleType("onnxruntime")
        package.__spec__ = ModuleSpec("onnxruntime", None)
        package.SessionOptions = lambda: SimpleNamespace()
        package.InferenceSession = InferenceSession
        monkeypatch.setitem(sys.modules, "onnxruntime", package)
        path = tmp_path / "f.onnx"
        path.write_bytes(b"graph")
        return path

    return build


def images(n=2):
    return torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(0))


LEVELS = {
    "sigma": (["n"], lambda s: s[:, None, None, None]),
    "number": ([], lambda s: s),
    "column": (["n", 1, 1, 1], lambda s: s),
    "second map": (["n", 1, "h", "w"], lambda s: s),
}


@pytest.mark.parametrize("conditioning", LEVELS)
def test_how_a_file_is_called_is_seen_from_its_inputs(session, conditioning):
    shape, spread = LEVELS[conditioning]
    path = session(lambda u, s: u / (1 + spread(s)), node("u", FREE), node("s", shape))
    f = gt.load_denoiser(path)
    assert f.convention == gt.Convention("clean", conditioning) and not f.training
    y, sigma = images(), torch.tensor([0.5, 1.0])
    torch.testing.assert_close(f(y, sigma), y / (1 + sigma[:, None, None, None]))
    torch.testing.assert_close(f(y, 0.25), y / 1.25)
    assert gt.load_denoiser(path, output="residual").convention == gt.Convention("residual", conditioning)


def test_a_map_among_the_channels_is_seen(session):
    path = session(lambda u: u[:, :3] / (1 + u[:, 3:]), node("u", ["n", 4, "h", "w"]), returned=("n", 3, "h", "w"))
    f = gt.load_denoiser(path)
    assert f.convention.conditioning == "map"
    y = images().expand(-1, 3, -1, -1)
    torch.testing.assert_close(f(y, 0.5), y / 1.5)
    assert gt.load_denoiser(session(lambda u: u, node("u", FREE))).convention == gt.Convention()


def test_a_file_for_one_image_is_run_once_for_each(session):
    sizes = []

    def run(u, s):
        sizes.append((len(u), s.shape))
        return u * s[:, None, None, None]

    path = session(run, node("u", [1, 1, 6, 6]), node("s", [1]), returned=(1, 1, 6, 6))
    y, sigma = images(3), torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(gt.load_denoiser(path)(y, sigma), y * sigma[:, None, None, None])
    assert sizes == [(1, (1,))] * 3
    with pytest.raises(ValueError, match=r"takes batches of 2 images, got 3; export it with a free batch"):
        gt.load_denoiser(session(run, node("u", [2, 1, 6, 6]), node("s", [2])))(y, 0.1)


def test_derivatives_are_refused_and_taken_by_differences(session):
    f = gt.load_denoiser(session(lambda u: np.sqrt(1 + u * u), node("u", FREE, "tensor(double)")))
    y = images(1).double()
    for refused in (
        lambda: gt.jacobian(f, y, 0.1),
        lambda: f(y.clone().requires_grad_(), 0.1).sum().backward(),
        lambda: torch.func.jvp(lambda v: f(v, 0.1), (y,), (y,)),
        lambda: torch.func.vmap(lambda v: f(v[None], 0.1))(y),
    ):
        with pytest.raises(RuntimeError, match=r"no derivatives for torch; difference_jacobian\(f, y, sigma\)"):
            refused()
    exact = y.flatten() / (1 + y.flatten().square()).sqrt()
    torch.testing.assert_close(gt.difference_jacobian(f, y, 0.1).matrix(), torch.diag(exact), rtol=0, atol=1e-8)


def test_times_of_a_file_that_takes_whole_numbers(session):
    path = session(lambda z, t: z * (t[:, None, None, None] > 500), node("z", FREE), node("t", ["n"], "tensor(int64)"))
    net, alphas = OnnxNetwork(path), torch.linspace(0.9999, 0.01, 1000)
    f = gt.adapt_diffusion(net, alphas, "clean", times="nearest").eval()
    assert torch.equal(f(images(), 0.02), torch.full_like(images(), 0.5))
    with pytest.raises(ValueError, match='times="nearest"'):
        gt.adapt_diffusion(net, alphas, "clean").eval()(images(), 0.3)


def test_other_files_and_images_are_refused(session, tmp_path, monkeypatch, unchecked):
    for inputs in ((node("u", ["n", 10]),), (node("u", FREE, "tensor(uint8)"),), (node("u", FREE),) * 3, ()):
        with pytest.raises(ValueError, match=r"must take images \(n, channels, height, width\), and at most a noise"):
            OnnxNetwork(session(lambda u: u, *inputs))
    f = gt.load_denoiser(session(lambda u: u, node("u", FREE)))
    with pytest.raises(TypeError, match=r"f\.onnx takes torch\.float32, but the images are torch\.float64"):
        f(images().double(), 0.1)
    path = tmp_path / "f.onnx"
    for arguments in ({"first": "relu"}, {"stages": 2}, {"entry": "ema"}, {"network": gt.BFCNN(2, 3)}):
        with pytest.raises(ValueError, match="says itself what it is; leave out"):
            gt.load_denoiser(path, **arguments)
    with pytest.raises(FileNotFoundError):
        OnnxNetwork(tmp_path / "g.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'gahb-theory\[onnx\]'"):
        gt.load_denoiser(path)


def test_copies_open_the_file_again(session):
    f = gt.load_denoiser(session(lambda u: u / 2, node("u", FREE)))
    g = copy.deepcopy(f)
    assert torch.equal(g(images(), 0.1), images() / 2) and g.net is not f.net
    assert pickle.dumps(f.net.__reduce__()[1])


def real_file(path, *, conditioned=False):
    """Two convolutions and a tanh, written with the helpers of ONNX; and the same layers in torch."""
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(4, 1, 3, 3, generator=generator) / 3, torch.randn(1, 4, 3, 3, generator=generator) / 6]
    h, number = onnx.helper, onnx.TensorProto.FLOAT
    shape, level = ["n", 1, "h", "w"], [h.make_tensor_value_info("s", number, ["n", 1, 1, 1])]
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        h.make_node("Conv", ["u", "w0"], ["a"], **pads),
        h.make_node("Tanh", ["a"], ["b"]),
        h.make_node("Conv", ["b", "w1"], ["c" if conditioned else "out"], **pads),
    ]
    nodes += [h.make_node("Mul", ["c", "s"], ["out"])] if conditioned else []
    graph = h.make_graph(
        nodes,
        "f",
        [h.make_tensor_value_info("u", number, shape), *(level if conditioned else [])],
        [h.make_tensor_value_info("out", number, shape)],
        [onnx.numpy_helper.from_array(w.numpy(), f"w{k}") for k, w in enumerate(weights)],
    )
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), path)
    conv = torch.nn.functional.conv2d
    return lambda u: conv(conv(u, weights[0], padding=1).tanh(), weights[1], padding=1)


def test_a_real_file(tmp_path):
    net = real_file(tmp_path / "f.onnx")
    f = gt.load_denoiser(tmp_path / "f.onnx")
    y = images(3)
    torch.testing.assert_close(f(y, 0.1), net(y), rtol=1e-5, atol=1e-6)
    J = gt.difference_jacobian(f, y[:1], 0.1, step=1e-2)
    exact = gt.jacobian(gt.adapt(net), y[:1], 0.1).matrix()
    torch.testing.assert_close(J.matrix(), exact, rtol=0, atol=1e-4)
    with pytest.raises(RuntimeError, match="no derivatives for torch"):
        gt.jacobian(f, y[:1], 0.1)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes((tmp_path / "f.onnx").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"damaged\.onnx is damaged or no ONNX file"):
        gt.load_denoiser(damaged)


def test_a_real_file_that_takes_the_noise_level(tmp_path):
    net = real_file(tmp_path / "f.onnx", conditioned=True)
    f = gt.load_denoiser(tmp_path / "f.onnx", output="residual")
    assert f.convention == gt.Convention("residual", "column")
    y, sigma = images(), torch.tensor([0.1, 0.4])
    torch.testing.assert_close(f(y, sigma), y - sigma[:, None, None, None] * net(y), rtol=1e-5, atol=1e-6)
