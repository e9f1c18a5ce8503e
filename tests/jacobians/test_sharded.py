"""The rows of a Jacobian spread over processes: the same matrix, and what kills, failures and damage cost."""

import os
import signal
import sys

import pytest
import torch

import gahb_theory as gt
from gahb_theory.jacobians import sharded_jacobian

Y = torch.rand(1, 1, 24, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(kind):
    """In double precision, with weights that mix pixels."""
    f = {"unet": lambda: gt.UNet(4, 2), "bfcnn": lambda: gt.BFCNN(4, 5), "dncnn": lambda: gt.DnCNN(4, 4)}[kind]()
    with torch.no_grad():
        for i, parameter in enumerate(f.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i))
            parameter.add_(0.1 * noise)
    return f.double().eval()


class Broken(torch.autograd.Function):
    """The identity, whose derivative of the rows of lines 8 to 15 alone raises an error or kills its process."""

    @staticmethod
    def forward(context, y, mark, parent):
        context.accident = mark, parent
        return y.clone()

    @staticmethod
    def backward(context, u):
        mark, parent = context.accident
        if bool(u[..., 8:16, :].any()) and not bool(u[..., :8, :].any() | u[..., 16:, :].any()):
            if mark is None:
                raise ArithmeticError("no derivative here")
            if not mark.exists() and os.getpid() != parent:
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return u, None, None


class Fragile(torch.nn.Module):
    def __init__(self, mark=None):
        super().__init__()
        self.mark, self.parent, self.training = mark, os.getpid(), False

    def forward(self, y, sigma):
        return Broken.apply(y, self.mark, self.parent).square().flip(-1).flip(-1)  # which is not recorded


@pytest.mark.parametrize("rows", [None, 37, 288])
@pytest.mark.parametrize("kind", ["unet", "bfcnn", "dncnn"])
def test_the_rows_are_those_of_the_whole(kind, rows):
    f = network(kind)
    expected = gt.jacobian(f, Y, 0.1).matrix()
    found = sharded_jacobian(f, Y, 0.1, rows=rows)
    assert not found.failures
    assert float((expected - torch.diag(expected.diagonal())).abs().max()) > 1e-3
    torch.testing.assert_close(found.matrix, expected, rtol=0, atol=1e-13)


def test_the_jacobian_works_on_the_matrix():
    f = network("unet")
    J = sharded_jacobian(f, Y, 0.1).jacobian()
    assert J.trace() == pytest.approx(gt.jacobian(f, Y, 0.1).trace(), abs=1e-12)
    assert float(J.eigenbasis(3).eigenvalues[0]) == pytest.approx(
        float(gt.jacobian(f, Y, 0.1).eigenbasis(3).eigenvalues[0]), abs=1e-10
    )


def test_colour_and_other_sizes_of_output():
    y = torch.rand(1, 3, 6, 4, generator=torch.Generator().manual_seed(1))

    def f(y, sigma):
        return y[..., ::2].cos()

    torch.testing.assert_close(sharded_jacobian(f, y, 0.1, rows=7).matrix, gt.jacobian(f, y, 0.1).matrix())


def test_a_failing_piece_is_named_and_the_others_go_on():
    with pytest.warns(UserWarning, match="rows 96 to 191 failed: ArithmeticError: no derivative here"):
        found = sharded_jacobian(Fragile(), Y, 0.1)
    assert list(found.failures) == [(96, 192)] and "96 rows missing" in repr(found)
    assert bool(found.matrix[96:192].isnan().all())
    expected = torch.diag(2 * Y.flatten())
    torch.testing.assert_close(found.matrix[:96], expected[:96])
    torch.testing.assert_close(found.matrix[192:], expected[192:])
    with pytest.raises(ValueError, match=r"rows 96 to 191 failed: .*Mend it and call sharded_jacobian again"):
        found.jacobian()


@pytest.mark.fault("corrupted file", "sharded Jacobian")
def test_the_same_call_goes_on_with_what_is_missing(tmp_path):
    f = network("bfcnn")
    first = sharded_jacobian(f, Y, 0.1, rows=100, folder=tmp_path).matrix
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 3
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:500])
    before = files[2].stat()
    assert torch.equal(sharded_jacobian(f, Y, 0.1, rows=100, folder=tmp_path).matrix, first)
    assert sorted(tmp_path.glob("*.npz")) == files
    assert (files[2].stat().st_ino, files[2].stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    sharded_jacobian(f, Y, 0.2, rows=100, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 6


@pytest.mark.fault("lost worker", "sharded Jacobian")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("kind", ["number", "dask"])
def test_a_killed_worker_costs_only_its_piece(kind, request, tmp_path):
    mark = tmp_path / "killed"
    executor = request.getfixturevalue("dask_client") if kind == "dask" else 2
    found = sharded_jacobian(Fragile(mark), Y, 0.1, executor)
    assert mark.exists() and not found.failures
    torch.testing.assert_close(found.matrix, torch.diag(2 * Y.flatten()))
