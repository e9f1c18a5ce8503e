"""Commands that are asked to end: one line that says what is kept, and the right code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gahb_theory import signals

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
COMMAND = [sys.executable, "-m", "gahb_theory"]


def stopped(words, number, ready, cwd):
    """The code and the words of a command that gets a signal when `ready` says so."""
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        for _ in range(6000):
            if ready(process):
                break
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, number)  # as a terminal does, and a cluster: the workers get it too
        printed = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    return process.returncode, printed


def imported(name):
    """Whether a process has a library open; on systems without /proc, after a while."""

    def ready(process):
        try:
            with Path(f"/proc/{process.pid}/maps").open() as maps:
                return name in maps.read()
        except OSError:
            time.sleep(1)
            return True

    return ready


def check(number, code, printed, kept):
    name = signal.Signals(number).name
    assert code == 128 + number
    assert [line for line in printed.splitlines() if line.startswith("gahb")] == [f"gahb: stopped by {name}: {kept}"]
    assert "Traceback" not in printed


@SIGNALS
def test_during_the_imports(number, tmp_path):
    code, printed = stopped(["generate", "x.npy"], number, imported("libtorch_cpu"), tmp_path)
    check(number, code, printed, "nothing was begun; call it again")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGTERM, 1), pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow)]
)
def test_generate(number, workers, tmp_path):
    words = ["generate", "x.npy", "--n", "200000", "--workers", str(workers), "images:c-alpha"]
    begun = tmp_path / ".x.npy.partial.json"
    code, printed = stopped(words, number, lambda process: begun.exists(), tmp_path)
    check(number, code, printed, "the finished blocks are kept, and the same command goes on from here")
    names = {file.name for file in tmp_path.iterdir()}
    # a process that needs more than five seconds to tidy up ends at once: its lock file stays, and locks nothing
    assert names - {".x.npy.lock"} == {".x.npy.partial", ".x.npy.partial.json"}


def test_train_ends_its_step(tmp_path):
    number = signal.SIGINT
    words = ["train", "--run", "r", "--channels", "4", "--device", "cpu", "images:disks", "--images.size", "16"]
    code, printed = stopped(words, number, lambda process: (tmp_path / "r" / "config.json").exists(), tmp_path)
    check(number, code, printed, "the last checkpoint is kept, and the same command goes on from it")
    assert not list((tmp_path / "r").glob(".*partial"))


@pytest.mark.parametrize(
    ("words", "begun", "number", "kept"),
    [
        (
            ["--run", "r"],
            "r/config.json",
            signal.SIGTERM,
            "the finished parts are kept, and the same command goes on from here",
        ),
        (
            ["analyze", "x.png", "--size", "48", "--run", "r"],
            "r",
            signal.SIGINT,
            "no file is half written, and the same command begins again",
        ),
    ],
    ids=["tour", "analyze"],
)
def test_computations_without_steps(words, begun, number, kept, tmp_path):
    Image.fromarray(np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)).save(tmp_path / "x.png")
    code, printed = stopped(words, number, lambda process: (tmp_path / begun).exists(), tmp_path)
    check(number, code, printed, kept)
    assert not list((tmp_path / "r").glob(".*partial"))


REPRODUCE = ["reproduce", "manifolds", "--scale", "smoke", "--workers"]


def begun(folder):
    return any((folder / "runs" / "paper" / "smoke" / "trainings").glob("*/training/config.json"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_reproduce_says_what_is_kept(workers, tmp_path):
    number = signal.SIGTERM
    code, printed = stopped([*REPRODUCE, workers], number, lambda process: begun(tmp_path), tmp_path)
    check(number, code, printed, "what is trained and measured is kept, and the same command goes on from here")


def test_a_killed_command_takes_its_workers_along(tmp_path):
    words = [*COMMAND, *REPRODUCE, "2"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while not begun(tmp_path):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.read()  # ends with the last process that holds it
    process.stdout.close()


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, signals.Stopped)])
def test_within_a_program_the_handlers_of_before_come_back(number, error):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(error), signals.handled():
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
