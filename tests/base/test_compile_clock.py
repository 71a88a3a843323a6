"""Compiling is no part of a cost: it happens once for a machine, not in every fit (fault 8)."""

import threading
import time

import numpy as np

from gru4rec_cli.base import compile_clock
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.base.measuring import measured

WAIT = 0.2  # seconds


def wait_compiling(loop: str = "") -> None:
    compile_clock.begin(loop)
    time.sleep(WAIT)
    compile_clock.end()


def test_compiling_has_its_own_place_in_a_cost():
    with measured() as outer:
        time.sleep(WAIT)
        with measured() as cost:
            wait_compiling()
    assert cost.seconds < WAIT / 2
    assert WAIT <= cost.compile_seconds < 2 * WAIT
    assert outer.compile_seconds == cost.compile_seconds
    assert WAIT <= outer.seconds < 2 * WAIT
    assert set(cost.as_dict()) == {"seconds", "compile_seconds", "peak_memory_bytes"}


def test_what_is_compiled_for_another_loop_counts_once_and_is_not_told():
    told: list[str] = []
    before = compile_clock.seconds()
    with compile_clock.listening(told.append):
        compile_clock.begin("outer")
        wait_compiling("inner")
        compile_clock.end()
    wait_compiling("later")
    assert told == ["outer", ""]
    assert 2 * WAIT <= compile_clock.seconds() - before < 4 * WAIT


def test_a_loop_that_is_compiled_under_way_is_seen_from_another_thread():
    before = compile_clock.seconds()
    thread = threading.Thread(target=wait_compiling)
    thread.start()
    time.sleep(WAIT / 2)
    assert compile_clock.seconds() > before
    thread.join()


def test_a_real_loop_is_timed_when_it_is_compiled_and_not_when_it_runs():
    @compiled
    def total(values):
        found = 0.0
        for value in values:
            found += value
        return found

    with measured() as first:
        assert total(np.ones(3)) == 3
    with measured() as second:
        assert total(np.ones(4)) == 4
    assert first.compile_seconds > 0
    assert first.compile_seconds > first.seconds
    assert second.compile_seconds == 0
