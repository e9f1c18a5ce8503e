"""Faults under load: what is spread over pieces, whether images, rows of a Jacobian or samples, and the table of all faults."""

import errno
import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import runs, stored_results
from gahb_theory.jacobians import sharded_jacobian
from gahb_theory.many_images import map_images, map_pieces

ROOT = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])}
IMAGES = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
F = gt.GaussianDenoiser(torch.full((1, 1, 4, 4), 0.5), 0.04 * torch.eye(16))


def denoised(f, image):
    return f(image, 0.1)


def draw(f, start):
    """Two samples, which are numbers start and start + 1 of their stream."""
    return gt.sample(f, (2, 1, 4, 4), start=start, step=0.5).images


def many_images(folder=None, executor=None):
    return map_images(denoised, F, IMAGES, executor, folder=folder).stack("value")


def rows(folder=None, executor=None):
    return sharded_jacobian(F, IMAGES[:1], 0.1, executor, rows=6, folder=folder).matrix.numpy()


def samples(folder=None, executor=None):
    return map_pieces(draw, F, [0, 2, 4], executor, folder=folder).stack("value")


WORK = pytest.mark.parametrize("work", [many_images, rows, samples])
"""Three pieces each."""


@pytest.fixture
def power_cut(monkeypatch):
    """A file that gets its name before its bytes are on the disk would be empty after a power cut: list such files."""
    flushed, lost, fsync, replace = {}, [], os.fsync, Path.replace

    def noted(descriptor):
        fsync(descriptor)
        about = os.fstat(descriptor)
        flushed[about.st_ino] = about.st_size

    def renamed(path, target):
        about = path.stat()
        if flushed.get(about.st_ino) != about.st_size:
            lost.append(str(target))
        renamed.count += 1
        return replace(path, target)

    renamed.count = 0
    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", renamed)

    def look():
        assert renamed.count, "nothing was written"
        return lost

    return look


@pytest.mark.fault("full disk", "many images")
@pytest.mark.fault("full disk", "sharded Jacobian")
@pytest.mark.fault("full disk", "samples")
@WORK
def test_a_full_disk_loses_no_result(work, tmp_path, full_disk):
    with pytest.warns(UserWarning, match="results are returned but not stored: .*the disk is full"):
        found = work(tmp_path)
    np.testing.assert_array_equal(found, work())
    assert list(tmp_path.iterdir()) == []
    full_disk()
    np.testing.assert_array_equal(work(tmp_path), found)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.fault("two writers", "many images")
@pytest.mark.fault("two writers", "sharded Jacobian")
@pytest.mark.fault("two writers", "samples")
@WORK
def test_two_callers_of_one_folder_end_with_the_same(work, tmp_path):
    found = []
    callers = [threading.Thread(target=lambda: found.append(work(tmp_path))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 3 and len(list(tmp_path.iterdir())) == 3
    for each in found:
        np.testing.assert_array_equal(each, work())


@pytest.mark.fault("a clock that jumps", "many images")
@pytest.mark.fault("a clock that jumps", "sharded Jacobian")
@pytest.mark.fault("a clock that jumps", "samples")
@WORK
def test_what_is_stored_has_no_age(work, tmp_path, monkeypatch):
    found = work(tmp_path)
    for number, file in enumerate(tmp_path.iterdir()):
        os.utime(file, ((number - 1) * 1e9, (number - 1) * 1e9 + 1e9))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    for years in (-30, 30):
        monkeypatch.setattr(time, "time", lambda years=years: 1.8e9 + years * 3.15e7)
        np.testing.assert_array_equal(work(tmp_path), found)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


@pytest.mark.fault("corrupted file", "many images")
@pytest.mark.fault("corrupted file", "sharded Jacobian")
@pytest.mark.fault("corrupted file", "samples")
@WORK
def test_a_byte_that_changed_is_seen_and_the_piece_computed_again(work, tmp_path):
    found = work(tmp_path)
    for number, file in enumerate(sorted(tmp_path.glob("*.npz"))):
        content = bytearray(file.read_bytes())
        content[len(content) * (number + 1) // 5] ^= 255
        file.write_bytes(content)
    np.testing.assert_array_equal(work(tmp_path), found)


@pytest.mark.fault("power cut", "many images")
@pytest.mark.fault("power cut", "sharded Jacobian")
@pytest.mark.fault("power cut", "samples")
@WORK
def test_a_piece_has_its_name_only_when_it_is_on_disk(work, tmp_path, power_cut):
    work(tmp_path)
    assert power_cut() == []


@pytest.mark.fault("power cut", "training")
def test_a_checkpoint_has_its_name_only_when_it_is_on_disk(tmp_path, power_cut):
    gt.train(gt.UNet(channels=4, blocks=1), gt.Disks(size=16), images_seen=32, batch_size=16, run=tmp_path / "run")
    assert power_cut() == []


def test_the_power_cut_of_these_tests_sees_what_is_not_flushed(tmp_path, power_cut):
    runs.write_json(tmp_path / "flushed.json", {"a": 1})
    (tmp_path / "loose.partial").write_text("{}")
    (tmp_path / "loose.partial").replace(tmp_path / "loose.json")
    assert power_cut() == [str(tmp_path / "loose.json")]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import tests.test_faults as t
    from gahb_theory import many_images, stored_results

    folder, kill = Path(sys.argv[1]), int(sys.argv[2])
    written, write = [], many_images.write_arrays

    def counted(path, arrays):
        if len(written) == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(path)
        return write(path, arrays)

    many_images.write_arrays = counted
    for work in (t.many_images, t.rows, t.samples):
        stored_results.write_arrays(folder / (work.__name__ + ".npz"), {"found": work(folder / work.__name__)})
    print(len(written))
"""


@pytest.mark.slow
@pytest.mark.fault("killed in the middle", "many images")
@pytest.mark.fault("killed in the middle", "sharded Jacobian")
@pytest.mark.fault("killed in the middle", "samples")
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_program_computes_only_what_is_missing(tmp_path):
    """Killed with one piece of images, then with one of rows, then with one of samples: 1 + 3 + 3 + 2 are computed."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED))

    def call(kill):
        command = [sys.executable, script, tmp_path, str(kill)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | ROOT, check=False)

    for kill in (1, 3, 3):
        assert call(kill).returncode == -signal.SIGKILL
    done = call(-1)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n"
    for work in (many_images, rows, samples):
        stored = stored_results.read_arrays(tmp_path / f"{work.__name__}.npz")["found"]
        np.testing.assert_allclose(stored, work(), rtol=1e-6, atol=1e-7)


def deadly(mark, f, start):
    """Two samples; those from 2 kill their process, once."""
    if start == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(f, start)


@pytest.mark.slow
@pytest.mark.fault("lost worker", "samples")
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_samples_of_a_killed_worker_are_drawn_again(tmp_path):
    found = map_pieces(partial(deadly, tmp_path / "mark"), F, [0, 2, 4], 2).stack("value")
    assert (tmp_path / "mark").exists()
    whole = gt.sample(F, (6, 1, 4, 4), step=0.5).images
    np.testing.assert_allclose(found.reshape(whole.shape), whole, rtol=1e-5, atol=1e-6)


RANKS = """
    import os, signal, sys, time
    from pathlib import Path
    import torch.distributed as dist
    import tests.test_faults as t
    from gahb_theory import many_images

    folder = Path(sys.argv[1])
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    write = many_images.write_arrays

    def deadly(path, arrays):
        if rank == 1 and not (folder / "killed").exists():
            (folder / "killed").touch()
            while len(list((folder / "store").glob("*.npz"))) < 2:  # those of the other rank
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        with (folder / "written").open("a") as file:
            file.write("x")
        return write(path, arrays)

    many_images.write_arrays = deadly
    many_images.map_images(t.denoised, t.F, t.IMAGES[rank::world], folder=folder / "store")
    dist.barrier()
    if rank == 0:
        many_images.write_arrays = None  # all is there
        results = many_images.map_images(t.denoised, t.F, t.IMAGES, folder=folder / "store")
        write(folder / "found.npz", {"found": results.stack("value")})
    dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.fault("lost worker", "many images")
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_torchrun_called_again_after_a_killed_rank_measures_no_image_twice(tmp_path):
    (tmp_path / "script.py").write_text(textwrap.dedent(RANKS))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    def call():
        return subprocess.run(
            [*command, tmp_path / "script.py", tmp_path],
            env=os.environ | ROOT | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert call().returncode != 0
    assert (tmp_path / "killed").exists() and (tmp_path / "written").read_text() == "xx"
    done = call()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "written").read_text() == "xxx"
    np.testing.assert_allclose(stored_results.read_arrays(tmp_path / "found.npz")["found"], many_images(), rtol=1e-6)


def trained(folder, images_seen=64):
    return gt.train(
        gt.UNet(channels=4, blocks=1), gt.Disks(size=16), images_seen=images_seen, batch_size=16, run=folder
    ).state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.fault("full disk", "training")
def test_training_goes_on_after_a_full_disk(tmp_path, monkeypatch):
    from gahb_theory.training import loop

    expected = trained(tmp_path / "whole")
    calls, fsync = [], os.fsync

    def failing(descriptor):
        calls.append(descriptor)
        if len(calls) == 9:  # some checkpoints are there
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="the disk is full"):
        patch.setattr(os, "fsync", failing)
        trained(tmp_path / "run")
    assert (tmp_path / "run" / "state.safetensors").exists()
    assert same(trained(tmp_path / "run"), expected)


@pytest.mark.fault("a clock that jumps", "training")
def test_training_does_not_look_at_the_clock_of_the_wall(tmp_path, monkeypatch):
    from gahb_theory.training import loop

    expected = trained(tmp_path / "whole")
    jumps = iter(range(10**6))
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(time, "time", lambda: 1.8e9 - 1e5 * next(jumps) ** 2)
    assert same(trained(tmp_path / "run"), expected)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == [16, 32, 48, 64]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and seconds[0] >= 0 and seconds[-1] < 1000


@pytest.mark.fault("a clock that jumps", "stored results")
def test_a_jump_of_the_clock_removes_no_file_that_is_being_written(tmp_path, monkeypatch):
    own = tmp_path / runs._temporary_name("result.json")
    own.write_text("half")
    monkeypatch.setattr(time, "time", lambda: own.stat().st_mtime + 1e8)
    runs.remove_stale(tmp_path)
    assert own.exists()


@pytest.mark.fault("two writers", "stored results")
def test_two_writers_of_one_file_leave_one_of_their_versions(tmp_path):
    path, versions = tmp_path / "result.npz", [{"a": np.full(5000, float(i))} for i in range(4)]
    writers = [threading.Thread(target=stored_results.write_arrays, args=(path, version)) for version in versions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = stored_results.read_arrays(path)["a"]
    assert len(set(found)) == 1 and found[0] in range(4)
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]


def test_the_table_of_faults_is_that_of_the_tests():
    """`python tests/faults.py` writes it."""
    spec = importlib.util.spec_from_file_location("faults", Path(__file__).with_name("faults.py"))
    faults = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(faults)
    found = faults.marked()
    unknown = [pair for pair in found if pair[0] not in faults.FAULTS or pair[1] not in faults.PLACES]
    assert not unknown
    empty = [
        (a, b) for a in faults.FAULTS for b in faults.PLACES if (a, b) not in found and (a, b) not in faults.NOTHING
    ]
    assert not empty
    assert faults.table() in faults.PAGE.read_text()
