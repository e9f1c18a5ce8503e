"""What large Jacobians are said to need, against what they take."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.jacobians import jacobian, jacobian_costs
from gahb_theory.jacobians.costs import _carried, _peak
from gahb_theory.jacobians.lanczos import _Progress

MEASURED = """
import torch
from pathlib import Path
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.jacobians import eigenbasis, jacobian, jacobian_costs

def peak():  # of this process alone: ru_maxrss would start from that of the one that began it
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])

torch.set_num_threads(1)
f = DRUNet(8, 1).eval()
y = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
costs = jacobian_costs(f, (1, 256, 256), 0.1)
Path("/proc/self/clear_refs").write_text("5")  # the peak is what is there now
before = peak()
J = jacobian(f, y, 0.1)
eigenbasis(J, 4, tol=0.3)
print(1024 * (peak() - before), costs.eigenpairs(4).bytes)
"""


def test_bytes_are_those_of_the_tensors_alive():
    """Two of 4 MB at once, one of them freed, another made."""

    def run():
        a = torch.zeros(10**6)
        b = a + 1
        del a
        c = b.reshape(1000, 1000) * 2
        del b
        return c

    live, held, _ = _peak(run)
    assert live.peak == 8_000_000
    assert held == 4_000_000


def test_counts_are_carried_exactly():
    assert _carried([2, 4], [7.0, 13.0], 10) == 31  # 1 + 3 n
    assert _carried([1, 2, 3], [3.0, 9.0, 19.0], 10) == 201  # 1 + 2 n^2


def test_costs_at_a_large_size_are_those_counted_there():
    f = DRUNet(4, 1).eval()
    costs = jacobian_costs(f, (1, 168, 176), 0.1)
    y = torch.rand(1, 1, 168, 176, generator=torch.Generator().manual_seed(0))
    live, held, J = _peak(lambda: jacobian(f, y, 0.1, chunk=1))
    assert costs.engine == "frozen"
    assert costs.making == pytest.approx(live.peak, rel=0.05)
    assert costs.held == pytest.approx(held, rel=0.02)
    assert costs.operations == pytest.approx(J._products.work(((0, 168), (0, 176))), rel=0.02)
    product, _, _ = _peak(lambda: J.matvec(y.flatten()))
    back, _, _ = _peak(lambda: J.rmatvec(y.flatten()))
    assert costs.product == pytest.approx(max(product.peak, back.peak), rel=0.1)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is read from /proc")
def test_memory_of_eigenpairs_is_stated_and_kept():
    """Peak of the process against what was said: not more, but for the buffers of convolutions, and not far less."""
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    taken, stated = map(int, done.stdout.split())
    assert 0.4 * stated < taken < 1.2 * stated, done.stdout


def test_tasks_over_the_limit_are_refused(network):
    costs = jacobian_costs(network(dtype=torch.float32), (1, 512, 512), 0.1)
    pairs = costs.eigenpairs(20)
    assert pairs.products == 56
    assert pairs.operations == 56 * costs.operations
    assert pairs.seconds(costs.operations) == 56
    assert pairs.bytes > 8 * 2 * 111 * 512**2
    assert pairs.check(limit=2.0 * pairs.bytes) is pairs
    with pytest.raises(ValueError, match="are allowed; take fewer pairs"):
        pairs.check(limit=pairs.bytes / 2)
    assert costs.rows(48, reached=400).bytes < costs.rows(48).bytes


def test_matrix_of_a_large_image_is_refused_before_it_is_begun(network, image):
    J = jacobian(network(dtype=torch.float32), image(1, 1024, 1024, dtype=torch.float32), 0.1)
    with pytest.raises(ValueError, match=r"entries of the dense matrix need 4,096 GiB.*take eigenbasis\(k\)"):
        J.matrix()


def test_time_left_of_a_residual_that_falls_evenly():
    """From e^4 to e times the tolerance in 20 products: a third of them more."""

    class Bar:
        total = None

    progress = _Progress(Bar())
    progress.look(10, math.exp(4))
    progress.look(20, math.exp(4))
    assert progress.bar.total is None  # no progress, no guess
    progress.look(40, math.e)
    assert progress.bar.total == 47
