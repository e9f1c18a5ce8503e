"""Fixtures that all tests share."""

import errno
import os
from pathlib import Path

import jaxtyping
import pytest
import torch


@pytest.fixture
def unchecked():
    """Switch the shape checks of the test run off, so that a test sees the library's own refusal of bad input."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def generator():
    """A random generator of the test's own."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def optional_data():
    """The folder of optional real data that GAHB_TEST_DATA names; the test is skipped where there is none."""
    folder = os.environ.get("GAHB_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GAHB_TEST_DATA does not name a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def accelerator():
    """A CUDA or MPS device; the test is skipped where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    pytest.skip("no accelerator here")


@pytest.fixture
def dask_client():
    """A client of two worker processes; the test is skipped where Dask is not installed."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def full_disk(monkeypatch):
    """Every flush to disk fails, as on a full disk; calling it frees space again."""

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    return monkeypatch.undo


@pytest.fixture(autouse=True)
def global_generator_untouched():
    """No test and nothing in the library may use the global random generator of torch."""
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state()), "the global random generator was used"
