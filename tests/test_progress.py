"""Progress: a bar on a terminal from two seconds on, a line every half minute elsewhere."""

import io

import pytest

from gahb_theory import progress


class Clock:
    """Each step takes ten seconds."""

    def __init__(self):
        self.now = 0.0

    def step(self, items):
        for item in items:
            yield item
            self.now += 10.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.tqdm, "monitor_interval", 0)
    monkeypatch.setattr("tqdm.std.time", lambda: clock.now)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, clock, monkeypatch, steps=12, **options):
    monkeypatch.setattr("sys.stderr", stream)
    for _ in clock.step(progress.progress_bar(range(steps), desc="counting", unit=" steps", **options)):
        pass
    return stream.getvalue()


def test_a_log_gets_a_line_every_half_minute(clock, monkeypatch):
    lines = shown(io.StringIO(), clock, monkeypatch).splitlines()
    assert 3 <= len(lines) <= 4
    assert all(line.startswith("counting: ") and "\r" not in line for line in lines)
    assert "3/12 [00:30<01:30" in lines[0]


def test_a_log_gets_nothing_of_what_is_quick(clock, monkeypatch):
    assert shown(io.StringIO(), clock, monkeypatch, steps=2) == ""
    assert shown(io.StringIO(), clock, monkeypatch, silent=True) == ""


def test_a_terminal_gets_one_line_that_changes(clock, monkeypatch):
    text = shown(Terminal(), clock, monkeypatch)
    assert text.count("\r") > 5
    assert "\n" not in text
    assert shown(Terminal(), clock, monkeypatch, leave=True).endswith("\n")


def test_a_program_without_output_gets_nothing(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert sum(progress.progress_bar([1, 2], desc="adding")) == 3
