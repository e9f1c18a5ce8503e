"""Pools that end with their parent, and refusals that say what to do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gahb_theory.images import Disks
from gahb_theory.workers import WorkersNotPossible, check_workers, pool


def test_results_and_errors_come_back():
    with pool(1) as processes:
        assert processes.submit(abs, -3).result() == 3
        with pytest.raises(ValueError, match="invalid literal"):
            processes.submit(int, "x").result()


def test_what_cannot_be_sent_is_refused_at_once():
    class Local(Disks):
        pass

    check_workers(1, Local(16))
    with pytest.raises(WorkersNotPossible, match=r"cannot be sent to another process .* or use workers=1"):
        check_workers(2, Local(16))
    check_workers(2, Disks(16))


CASES = {
    "class at a prompt": (
        "class Mine(gt.Disks): pass\ngt.dataset('x.npy', Mine(16), 600, workers=2)",
        "-c",
        "a new process cannot import Mine, which is defined in a notebook or at a prompt; define it in a module",
    ),
    "script without a guard, and function of one": (
        "try:\n    gt.dataset('x.npy', gt.Disks(16), 600, workers=2)\nexcept TypeError as error:\n"
        "    assert 'put the call under if' in str(error)\n    raised = True\n"
        "def go():\n    gt.dataset('x.npy', gt.Disks(16), 600, workers=2)\nif raised:\n    go()",
        "file",
        'put the call under if __name__ == "__main__":, or use workers=1',
    ),
    "standard input": (
        "gt.dataset('x.npy', gt.Disks(16), 600, workers=2)",
        "-",
        "which cannot run <stdin>: save the script in a file, or use workers=1",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_programs_that_cannot_start_processes(case, tmp_path):
    body, kind, message = CASES[case]
    source = f"import gahb_theory as gt\n{body}\n"
    (tmp_path / "script.py").write_text(source)
    words = {"-c": ["-c", source], "file": ["script.py"], "-": ["-"]}[kind]
    done = subprocess.run(
        [sys.executable, *words], input=source, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert message in done.stderr.splitlines()[-1]
    assert [file.name for file in tmp_path.iterdir()] == ["script.py"]


BUSY = """
import os, signal, time, sys
from gahb_theory.workers import pool

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in the background ignores it

def busy(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    with pool(2) as processes:
        futures = [processes.submit(busy, 600) for _ in range(2)]
        [future.result() for future in futures]
"""


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")  # one that waits to be collected is none
    return not stat.exists() or stat.read_text().rsplit(") ")[-1][0] != "Z"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])  # without a handler SIGTERM is as SIGKILL
def test_workers_end_with_their_parent(number, tmp_path):
    (tmp_path / "busy.py").write_text(BUSY)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "busy.py")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(alive(worker) for worker in workers)
    parent.send_signal(number)
    assert parent.wait(60) != 0
    parent.stdout.close()
    for _ in range(600):
        if not any(alive(worker) for worker in workers):
            return
        time.sleep(0.1)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    raise AssertionError("workers outlive their parent")


@pytest.mark.slow
def test_workers_that_are_starting_end_with_their_parent(tmp_path):
    """A killed parent leaves no process of its group, although its workers were still importing."""
    (tmp_path / "busy.py").write_text(BUSY.replace("futures = ", "print('begun', flush=True); futures = "))
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "busy.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout.readline() == "begun\n"
    time.sleep(0.3)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.read()  # the end of the pipe is the end of the last process that has it
    parent.stdout.close()
