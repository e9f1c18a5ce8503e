"""Sweeps: nothing twice, whatever the executor and whenever it is killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.sweeps import Serial, key, sweep

computed = []


@dataclass(frozen=True)
class Config:
    x: float
    images: object = None


def square(config, directory):
    computed.append(config.x)
    (directory / "notes.txt").write_text("kept")
    return {"y": config.x**2, "list": [1, 2.5, float("inf")], "numpy": np.float64(0.1)}


@pytest.fixture(autouse=True)
def nothing_computed():
    computed.clear()


def test_each_configuration_is_computed_once(tmp_path):
    configs = [Config(2.0), Config(3.0), Config(2.0)]
    pieces = sweep(configs, square, folder=tmp_path)
    assert [piece.result["y"] for piece in pieces] == [4.0, 9.0, 4.0]
    assert [piece.config for piece in pieces] == configs
    assert computed == [2.0, 3.0]
    again = sweep([Config(3.0), Config(4.0)], square, Serial(), folder=tmp_path)
    assert [piece.result["y"] for piece in again] == [9.0, 16.0]
    assert computed == [2.0, 3.0, 4.0]
    assert again[0].result == pieces[1].result == {"y": 9.0, "list": [1, 2.5, float("inf")], "numpy": 0.1}
    directory = pieces[0].directory
    strict = json.loads((directory / "result.json").read_text(), parse_constant=pytest.fail)
    assert strict["list"] == [1, 2.5, {"float": "inf"}]
    assert (directory / "notes.txt").read_text() == "kept"
    config = json.loads((directory / "config.json").read_text())
    assert config["config"] == {"class": f"{__name__}.Config", "x": 2.0, "images": None}
    assert config["run"]["function"] == f"{__name__}.square"
    assert "torch" in config["versions"]


def test_the_key_sees_everything():
    x = torch.zeros(3)
    configs = [
        Config(1.0),
        Config(2.0),
        Config(1.0, images=gt.Disks(size=16)),
        Config(1.0, images=gt.Disks(size=32)),
        Config(1.0, images=x),
        Config(1.0, images=x + 1),
        Config(1.0, images=x.double()),
        Config(1.0, images=(1, [2, {"a": 3}])),
        Config(1.0, images=(1, [2, {"a": 4}])),
        {"x": 1.0},
    ]
    keys = [key(square, config) for config in configs]
    assert len(set(keys)) == len(configs)
    assert keys == [key(square, config) for config in configs]
    assert key(square, Config(1.0)) == key(square, replace(Config(2.0), x=1.0))
    assert key(square, Config(1.0)) != key(failing, Config(1.0))


def failing(config, directory):
    computed.append(config.x)
    if config.x < 0:
        raise ArithmeticError("no root")
    return {"y": config.x**0.5}


def test_a_failure_spares_the_others(tmp_path):
    configs = [Config(-1.0), Config(4.0), Config(-2.0), Config(9.0)]
    with pytest.raises(RuntimeError, match=r"2 of 4 runs failed, the others are kept; .*ArithmeticError: no root"):
        sweep(configs, failing, folder=tmp_path)
    assert computed == [-1.0, 4.0, -2.0, 9.0]
    assert [p.result["y"] for p in sweep([Config(4.0), Config(9.0)], failing, folder=tmp_path)] == [2.0, 3.0]
    assert len(computed) == 4
    with pytest.raises(RuntimeError, match="2 of 2 runs failed"):
        sweep(configs, failing, folder=tmp_path)
    assert computed[4:] == [-1.0, -2.0]


class Delayed:
    """An executor of the kind of submitit: jobs that know `result` alone, here computed when asked for."""

    def submit(self, function, *arguments):
        class Job:
            def result(self):
                return function(*arguments)

        return Job()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # of submitit
def test_any_executor_will_do(tmp_path):
    expected = [piece.result for piece in sweep([Config(2.0), Config(3.0)], square, folder=tmp_path / "serial")]
    with ThreadPoolExecutor(2) as threads:
        for name, executor in (("delayed", Delayed()), ("threads", threads)):
            pieces = sweep([Config(2.0), Config(3.0)], square, executor, folder=tmp_path / name)
            assert [piece.result for piece in pieces] == expected
    submitit = pytest.importorskip("submitit", reason="the extra `cluster` is not installed")
    executor = submitit.AutoExecutor(tmp_path / "logs", cluster="debug")
    assert [p.result for p in sweep([Config(2.0)], square, executor, folder=tmp_path / "submitit")] == expected[:1]


def slow(config, directory):
    computed.append(config.x)
    time.sleep(0.3)
    return {"y": 1}


def test_two_sweeps_at_once_share_their_work(tmp_path):
    configs = [Config(float(x)) for x in range(3)]
    other = threading.Thread(target=sweep, args=(configs, slow), kwargs={"folder": tmp_path})
    other.start()
    time.sleep(0.1)
    assert len(sweep(configs, slow, folder=tmp_path)) == 3
    other.join()
    assert sorted(computed) == [0.0, 1.0, 2.0]


SCRIPT = """
    import sys, time
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from pathlib import Path
    from gahb_theory.sweeps import sweep

    def note(line):
        with open(sys.argv[2], "a") as file:
            file.write(line + "\\n")

    def work(config, directory):
        resumed = (directory / "half").exists()
        note(f"{'resume' if resumed else 'start'} {config['x']}")
        if not resumed:
            time.sleep(0.15)
            (directory / "half").write_text("")
        time.sleep(0.15)
        note(f"end {config['x']}")
        return {"y": 10 * config["x"]}

    def main():
        configs = [{"x": x} for x in range(6)]
        if sys.argv[3] == "serial":
            pieces = sweep(configs, work, folder=sys.argv[1])
        else:
            with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
                pieces = sweep(configs, work, pool, folder=sys.argv[1])
        print([piece.result["y"] for piece in pieces])

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("kind", ["serial", "processes"])
def test_a_killed_sweep_goes_on_and_computes_nothing_twice(tmp_path, kind):
    script, log = tmp_path / "script.py", tmp_path / "log.txt"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, script, tmp_path / "runs", log, kind]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not any((tmp_path / "runs").glob("*/result.json")):
        assert process.poll() is None, "the sweep ended before it was killed"
        assert time.monotonic() < until, "no result within a minute"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # the script and the workers that it started
    assert process.wait(timeout=30) == -signal.SIGKILL
    time.sleep(0.1)
    before = log.read_text().split("\n")
    finished = {p.parent.name for p in (tmp_path / "runs").glob("*/result.json")}
    assert 1 <= len(finished) < 6
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert second.stdout.strip() == "[0, 10, 20, 30, 40, 50]"
    after = log.read_text().split("\n")[len(before) - 1 :]
    started_again = sum(line.startswith(("start", "resume")) for line in after)
    assert started_again == 6 - len(finished), "what had a result was not started again"


def test_another_process_has_the_same_keys(tmp_path):
    configs = [{"shape": (2, 2), "seed": s, "list": [0.1, "c", None]} for s in range(2)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pieces = sweep(configs, own_key, pool, folder=tmp_path)
    assert [piece.result["key"] for piece in pieces] == [key(own_key, config) for config in configs]
    assert [piece.result["key"] for piece in pieces] == [piece.directory.name for piece in pieces]


def own_key(config, directory):
    return {"key": key(own_key, dict(reversed(config.items())))}


def test_refusals(tmp_path, unchecked):
    with pytest.raises(TypeError, match=r"config.images is a function, whose contents a hash cannot see"):
        sweep([Config(1.0, images=square)], square, folder=tmp_path)
    with pytest.raises(TypeError, match=r"config\['f'\]\[1\] is a generator"):
        sweep([{"f": [1, (i for i in range(2))]}], square, folder=tmp_path)
    with pytest.raises(TypeError, match="run must be a function with a name"):
        sweep([Config(1.0)], lambda config, directory: {}, folder=tmp_path)
    with pytest.raises(
        RuntimeError, match=r"the result must be JSON .*it holds a Tensor.*write arrays into the directory"
    ):
        sweep([Config(1.0)], returns_a_tensor, folder=tmp_path)
    with pytest.raises(RuntimeError, match="run must return a mapping"):
        sweep([Config(1.0)], returns_nothing, folder=tmp_path)
    piece = sweep([Config(5.0)], square, folder=tmp_path)[0]
    (piece.directory / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result.json is damaged .* it is now result.json.damaged"):
        sweep([Config(5.0)], square, folder=tmp_path)
    assert sweep([Config(5.0)], square, folder=tmp_path)[0].result == piece.result, "it is computed again"


def returns_a_tensor(config, directory):
    return {"y": torch.zeros(2)}


def returns_nothing(config, directory):
    return None


class Model:
    def __init__(self, a):
        self.a = a

    def run(self, config, directory):
        return {"y": self.a}


def times(a, config, directory):
    return {"y": a * config["x"]}


def closure(a):
    def run(config, directory):
        return {"y": a}

    return run


@pytest.mark.parametrize("make", [lambda a: Model(a).run, lambda a: partial(times, a), closure])
def test_functions_that_hold_something_are_known_by_it(make, tmp_path):
    found = [sweep([{"x": 1}], make(a), folder=tmp_path)[0] for a in (3, 4, 3)]
    assert [piece.result["y"] for piece in found] == [3, 4, 3]
    assert found[0].directory == found[2].directory


def test_a_function_that_was_changed_computes_anew(tmp_path):
    """As in a notebook, where a cell defines the same name again; its place in the file does not matter."""
    results, folders = [], []
    for source in ("return {'y': 2}", "return {'y': 3}", "# moved\n    return {'y': 2}"):
        names = {"__name__": "notebook"}
        exec(f"def run(config, directory):\n    {source}", names)
        piece = sweep([{"x": 1}], names["run"], folder=tmp_path)[0]
        results.append(piece.result["y"])
        folders.append(piece.directory)
    assert results == [2, 3, 2]
    assert folders[0] == folders[2]


def test_what_a_function_holds_must_be_seen(tmp_path):
    with pytest.raises(TypeError, match="a generator, whose contents a hash cannot see"):
        sweep([{"x": 1}], closure(i for i in range(3)), folder=tmp_path)
    with pytest.raises(TypeError, match="a lock, whose contents a hash cannot see"):
        sweep([{"x": 1}], Model(threading.Lock()).run, folder=tmp_path)
    with pytest.raises(TypeError, match="array of objects, of which only the addresses"):
        key(square, {"x": np.array([object()], dtype=object)})


def test_a_pool_that_forks_is_refused(tmp_path):
    pool = ProcessPoolExecutor(1, mp_context=get_context("fork"))
    with pytest.raises(ValueError, match=r'forks this process.*get_context\("spawn"\)'):
        sweep([Config(1.0)], square, pool, folder=tmp_path)
    pool.shutdown()
    assert not any(tmp_path.iterdir())


class Remembering:
    """An executor of the kind of Dask: a task with the arguments of one before gets its outcome, failures too."""

    def __init__(self):
        self.known = {}

    def submit(self, function, *arguments):
        name = repr((function, arguments))
        if name not in self.known:
            self.known[name] = Serial().submit(function, *arguments)
        return self.known[name]


def needs(config, directory):
    if not Path(config["ok"]).exists():
        raise OSError("no space left")
    return {"y": 1}


def test_a_mended_sweep_is_run_again_by_an_executor_that_remembers(tmp_path):
    executor, configs = Remembering(), [{"ok": str(tmp_path / "ok")}]
    with pytest.raises(RuntimeError, match="no space left"):
        sweep(configs, needs, executor, folder=tmp_path / "runs")
    (tmp_path / "ok").touch()
    assert sweep(configs, needs, executor, folder=tmp_path / "runs")[0].result == {"y": 1}


def ends(config, directory):
    if config["how"] == "exit":
        raise SystemExit(3)
    if config["how"] == "interrupt":
        raise KeyboardInterrupt
    if config["how"] == "killed" and not (directory / "before").exists():
        (directory / "before").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"y": 1}


def test_what_ends_one_run_spares_the_others_and_is_named(tmp_path):
    configs = [{"how": how} for how in ("exit", "well", "interrupt", "also well")]
    pool = ThreadPoolExecutor(1)
    with pytest.raises(RuntimeError, match=r"2 of 4 runs failed.*SystemExit: 3.*configuration \{'how': 'exit'\}"):
        sweep(configs, ends, pool, folder=tmp_path)
    pool.shutdown()
    assert len(list(tmp_path.glob("*/result.json"))) == 2
    with pytest.raises(RuntimeError, match=r"1 of 1 runs failed.*SystemExit: 3"):
        sweep(configs[:1], ends, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):  # in the process of the caller it is the caller's
        sweep(configs[2:3], ends, folder=tmp_path)


def test_a_killed_worker_is_named_and_the_next_call_completes(tmp_path):
    configs = [{"how": "well"}, {"how": "killed"}, {"how": "also well"}]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(RuntimeError, match=r"worker process died, killed or out of memory\).*'killed'"):
            sweep(configs, ends, pool, folder=tmp_path)
        assert len(list(tmp_path.glob("*/result.json"))) == 1
    assert [piece.result["y"] for piece in sweep(configs, ends, folder=tmp_path)] == [1, 1, 1]


def test_progress_moves_as_runs_end(tmp_path, monkeypatch):
    """Not at the end, for runs in this process; not in the order of submission, for others."""
    seen = []

    class Bar:
        def __init__(self, **_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, n):
            seen.append((n, len(computed)))

    monkeypatch.setattr(sys.modules[sweep.__module__], "progress_bar", Bar)
    sweep([Config(1.0), Config(2.0)], square, folder=tmp_path / "serial")
    assert seen == [(1, 1), (1, 2)]
    computed.clear()
    seen.clear()
    with ThreadPoolExecutor(2) as pool:
        sweep([Config(0.6), Config(0.0)], sleeping, pool, folder=tmp_path / "threads")
    assert seen == [(1, 1), (1, 2)]
    assert computed == [0.0, 0.6]


def sleeping(config, directory):
    time.sleep(config.x)
    computed.append(config.x)
    return {}


def test_very_many_runs_are_submitted_together(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[sweep.__module__], "MOST_SUBMISSIONS", 3)
    executor = Remembering()
    pieces = sweep([Config(float(x)) for x in range(8)], square, executor, folder=tmp_path)
    assert [piece.result["y"] for piece in pieces] == [x**2 for x in range(8)]
    assert len(executor.known) == 3


def test_the_folder_does_not_depend_on_where_a_worker_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    piece = sweep([Config(2.0)], square, folder="runs")[0]
    assert piece.directory.is_absolute()
    assert piece.directory.parent == tmp_path.resolve() / "runs"


def test_older_code_finds_the_module_by_its_former_name():
    from gahb_theory.sweep import key as former

    assert former is key
    assert gt.sweep is sweep, "the module does not hide the function"
    lines = "from gahb_theory.sweep import key; import gahb_theory as gt; assert gt.sweep.__name__ == 'sweep'"
    for order in (lines, "import gahb_theory as gt; gt.sweep; " + lines):  # where nothing else has imported it
        subprocess.run([sys.executable, "-c", order], check=True)
