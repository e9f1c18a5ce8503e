"""Bad input of every kind, for every public name: a right result, or a refusal in the words of the library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
CALLS = 2500
KNOWN = HERE / "fuzz_known.txt"
"""Targets that are still to be mended, one a line; it must only grow shorter."""


def test_bad_input_is_refused_in_the_words_of_the_library() -> None:
    """In a process of its own: without shape checks, and with a bound on the memory of each call."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(HERE)]))}
    environment |= {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=600, env=environment, check=False
    )
    assert done.stdout.strip(), done.stderr[-2000:]
    tried, faults = json.loads(done.stdout.strip().splitlines()[-1])
    assert tried >= 2000
    if faults:
        pytest.fail(f"{len(faults)} of {tried} calls:\n" + "\n".join(faults[:40]), pytrace=False)


def main() -> None:
    """Try calls that hypothesis draws, and print their number and those that end otherwise than they may."""
    import fuzzing

    fuzzing.limit_memory()
    known = set(KNOWN.read_text().split()) if KNOWN.is_file() else set()
    calls = [call for call in fuzzing.calls() if call[0].name not in known]
    faults: dict[str, None] = {}
    tried = 0

    @settings(
        max_examples=CALLS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(range(len(calls))))
    def attempt(index: int) -> None:
        nonlocal tried
        tried += 1
        outcome = fuzzing.attempt(*calls[index])
        if outcome.fault:
            faults[str(outcome)] = None  # collected, so that one run shows them all

    attempt()
    print(json.dumps([tried, list(faults)]))


if __name__ == "__main__":
    main()
