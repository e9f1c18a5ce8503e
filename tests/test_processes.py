"""Signals that wait for the end of a step, and groups of processes."""

import os
import signal
import threading

import pytest

from gahb_theory.processes import Interrupt, interrupts_deferred, processes

SIGNALS = pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["INT", "TERM"]
)


@SIGNALS
def test_a_signal_waits_for_the_end_of_the_step(number, error):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    steps = []
    with pytest.raises(error) as caught, interrupts_deferred() as interrupt:
        for step in range(5):
            if step == 2:
                os.kill(os.getpid(), number)
            steps.append(step)
            interrupt.raise_if_received()
    assert steps == [0, 1, 2]
    if error is SystemExit:
        assert caught.value.code == 128 + signal.SIGTERM
    assert {n: signal.getsignal(n) for n in before} == before


@SIGNALS
def test_the_second_signal_is_obeyed_at_once(number, error):
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")


def test_nothing_happens_without_a_signal():
    with interrupts_deferred() as interrupt:
        interrupt.raise_if_received()
    assert interrupt.received is None


def test_other_threads_leave_signals_alone():
    seen = []

    def work():
        with interrupts_deferred() as interrupt:
            seen.append((type(interrupt), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(Interrupt, signal.getsignal(signal.SIGINT))]


def test_one_process_is_rank_0_of_1(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes() as (rank, world):
        assert (rank, world) == (0, 1)
