"""Threads that run one loop in step."""

import sys

import numpy as np
import pytest

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.threads import Counters, ThreadGroup, signal, wait


@compiled
def take_turns(counters: Counters, me: int, rounds: int, numbers: Int64Array) -> None:
    """Every thread adds what the others wrote in the round before."""
    for turn in range(rounds):
        total = 0
        for other in range(len(counters)):
            total += numbers[turn % 2, other]
        numbers[(turn + 1) % 2, me] = total % 1_000_003 + me
        wait(counters, me)


def expected(threads: int, rounds: int) -> list[int]:
    values = [1] * threads
    for _ in range(rounds):
        values = [sum(values) % 1_000_003 + me for me in range(threads)]
    return values


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_one_thread_writes_the_others_see_after_they_waited(threads: int):
    group = ThreadGroup(threads)
    for rounds in (20_000, 1):  # a group can be used again
        numbers = np.ones((2, threads), dtype=np.int64)
        group.run(take_turns, rounds, numbers)
        assert numbers[rounds % 2].tolist() == expected(threads, rounds)


@compiled
def hand_over(counters: Counters, me: int, numbers: Int64Array) -> None:
    """The last thread, ahead of the first, writes every number; the first doubles it once it is there."""
    for place in range(len(numbers)):
        if me == len(counters) - 1:
            numbers[place] = place
            signal(counters, me)
        if me == 0:
            wait(counters, me)
            numbers[place] *= 2


@pytest.mark.parametrize("threads", [1, 2])
def test_who_signals_goes_on_and_the_others_see_what_it_wrote(threads: int):
    numbers = np.full(20_000, -1, dtype=np.int64)
    ThreadGroup(threads).run(hand_over, numbers)
    assert numbers.tolist() == list(range(0, 40_000, 2))


def test_an_error_in_another_thread_is_told():
    def fails(counters: Counters, me: int) -> None:
        if me:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ThreadGroup(2).run(fails)


def test_nobody_waits_for_a_thread_that_failed():
    @compiled
    def meets(counters: Counters, me: int) -> None:
        wait(counters, me)

    for failing in (0, 1):

        def fails(counters: Counters, me: int, failing: int = failing) -> None:
            if me == failing:
                raise KeyboardInterrupt if me == 0 else ValueError("broken")
            meets(counters, me)

        group = ThreadGroup(2)
        with pytest.raises((KeyboardInterrupt, ValueError)):
            group.run(fails)
        numbers = np.ones((2, 2), dtype=np.int64)
        group.run(take_turns, 100, numbers)
        assert numbers[0].tolist() == expected(2, 100)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the time of threads as Linux does")
def test_a_thread_that_waits_long_sleeps():
    import time

    def uneven(counters: Counters, me: int) -> None:
        if me:
            time.sleep(0.5)
            wait(counters, me)
            return
        begun = time.thread_time()
        wait(counters, me)
        waited.append(time.thread_time() - begun)

    waited: list[float] = []
    ThreadGroup(2).run(uneven)
    assert waited[0] < 0.25
