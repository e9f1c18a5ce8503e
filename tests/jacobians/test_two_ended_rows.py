"""All rows from both ends of the network, against windows from one end and automatic differentiation."""

import pytest
import torch
from torch.nn import functional

from gahb_theory.denoisers.networks.bias_free import BFCNN, BiasFreeNorm, UNet
from gahb_theory.jacobians import jacobian
from gahb_theory.jacobians.engines import rows
from gahb_theory.jacobians.engines import two_ended_rows as meeting

SIGMA = 0.2
EXACT = {"rtol": 1e-9, "atol": 1e-11}  # double precision, sums of some thousand terms


def lively(f, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    for module in f.modules():
        if isinstance(module, BiasFreeNorm):
            module.gamma.data = 0.9 + 0.2 * torch.rand(module.gamma.shape, generator=generator)
    return f.eval().to(dtype)


def weights(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[1] ** 0.5 / 3


def wide_way_round(y, sigma):
    """What goes round the chain reaches further than the chain, and ends on an image of another size."""
    z = functional.relu(functional.conv2d(y, weights(6, 1, 3, 3), padding=1))
    z = functional.relu(functional.conv2d(z, weights(6, 6, 3, 3, seed=1), padding=1))
    z = functional.conv2d(z, weights(2, 6, 3, 3, seed=2), padding=1)
    return z[:, :, :-1] - functional.conv2d(y, weights(2, 1, 13, 1, seed=3), padding=(6, 0))[:, :, 1:].mul(0.5)


CASES = {
    "network": (lively(BFCNN(5, 7)), (1, 22, 31)),
    "colour": (lively(BFCNN(4, 6, image_channels=3)), (3, 11, 13)),
    "narrow": (lively(BFCNN(4, 8)), (1, 30, 3)),
    "small": (lively(BFCNN(4, 8)), (1, 2, 6)),
    "wide way round": (wide_way_round, (1, 17, 9)),
}


def forced(monkeypatch):
    """Take two ends whether they pay or not, and remember that they were taken."""
    taken = []

    def blocks(engine, cut, *rest):
        taken.append(cut)
        return meeting.meeting_blocks(engine, cut, *rest)

    monkeypatch.setattr(meeting, "GAIN", float("inf"))
    monkeypatch.setattr(rows, "meeting_blocks", blocks)
    return taken


@pytest.mark.parametrize("name", CASES)
def test_two_ends_give_the_dense_reference(name, image, monkeypatch):
    taken, (f, shape) = forced(monkeypatch), CASES[name]
    y = image(*shape)
    dense = torch.autograd.functional.jacobian(lambda x: f(x.clone(), SIGMA), y).reshape(-1, y.numel())
    J = jacobian(f, y, SIGMA)
    assert J.engine == "frozen"
    sparse = J.sparse_matrix()
    torch.testing.assert_close(torch.from_numpy(sparse.toarray()), dense, **EXACT)
    if dense.shape[0] == dense.shape[1]:
        torch.testing.assert_close(J.diagonal(), dense.diagonal(), **EXACT)
    torch.testing.assert_close(J.matrix(), dense, **EXACT)
    assert len(taken) == (3 if dense.shape[0] == dense.shape[1] else 2)


@pytest.mark.parametrize("value", range(4))
def test_every_cut_gives_the_same_rows(value, image):
    f, y = CASES["network"][0], image(1, 13, 10)
    J = jacobian(f, y, SIGMA)
    cut = list(meeting._cuts(J._products.recorded, J.input_shape))[value]
    matrix = torch.zeros(130, 1, 13, 10, dtype=torch.float64)
    for positions, part, ((a, b), (c, d)) in meeting.meeting_blocks(J._products, cut, (1, 13, 10), (1, 13, 10), y):
        matrix[positions, :, a:b, c:d] = part
    torch.testing.assert_close(matrix.reshape(130, 130), J.rows(range(129, -1, -1)).flip(0), **EXACT)


def test_single_precision(image, monkeypatch):
    """Both ways are within the rounding of sums of some thousand terms, and what no receptive field reaches is 0."""
    taken, f, y = forced(monkeypatch), lively(BFCNN(32, 12), torch.float32), image(1, 28, 28, dtype=torch.float32)
    J, one_end = jacobian(f, y, SIGMA), jacobian(f, y, SIGMA)
    one_end._both_ends = False
    a, b = J.matrix(), one_end.matrix()
    assert len(taken) == 1
    assert float((a - b).norm()) < 1e-5 * float(b.norm())
    assert torch.equal(a == 0, b == 0)


def test_taken_where_it_pays_and_fits(image):
    y = image(1, 48, 48, dtype=torch.float32)
    shape = (1, 48, 48)
    deep = jacobian(lively(BFCNN(32, 20), torch.float32), y, SIGMA)._products
    cut = meeting.best_cut(deep, shape, shape, 4)
    assert cut is not None
    assert 7 <= cut.radius <= 12
    middle = meeting._middle(shape)
    assert deep.work(middle, cut.value) < deep.work(middle) / 2
    deep.budget = 1e6
    assert meeting.best_cut(deep, shape, shape, 4) is None
    shallow = jacobian(lively(BFCNN(16, 3), torch.float32), y, SIGMA)._products
    assert meeting.best_cut(shallow, shape, shape, 4) is None
    unet = jacobian(lively(UNet(8, 2), torch.float32), y, SIGMA)._products
    assert meeting.best_cut(unet, shape, shape, 4) is None


def test_one_end_where_memory_does_not_suffice(image, monkeypatch):
    """A ring that does not fit costs the two ends, not the matrix."""
    taken, (f, shape) = forced(monkeypatch), CASES["colour"]

    def no_memory(*args):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    expected = jacobian(f, image(*shape), SIGMA).matrix()
    monkeypatch.setattr(meeting, "_Ring", no_memory)
    J = jacobian(f, image(*shape), SIGMA, chunk=1)
    torch.testing.assert_close(J.matrix(), expected, **EXACT)
    assert len(taken) == 2
