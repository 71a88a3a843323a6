"""Threads that run one loop in step."""

import sys

import numpy as np
import numpy.typing as npt
import pytest

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.base.team import Progress, Team, arrive, meet

Numbers = npt.NDArray[np.int64]


@compiled()
def take_turns(progress: Progress, me: int, rounds: int, numbers: Numbers) -> None:
    """Every thread adds what the others wrote in the round before."""
    for turn in range(rounds):
        total = 0
        for other in range(len(progress)):
            total += numbers[turn % 2, other]
        numbers[(turn + 1) % 2, me] = total % 1_000_003 + me
        meet(progress, me)


def expected(threads: int, rounds: int) -> list[int]:
    values = [1] * threads
    for _ in range(rounds):
        values = [sum(values) % 1_000_003 + me for me in range(threads)]
    return values


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_one_thread_writes_the_others_see_after_they_met(threads: int):
    team = Team(threads)
    for rounds in (20_000, 1):  # a team can be used again
        numbers = np.ones((2, threads), dtype=np.int64)
        team.run(take_turns, rounds, numbers)
        assert numbers[rounds % 2].tolist() == expected(threads, rounds)


@compiled()
def hand_over(progress: Progress, me: int, numbers: Numbers) -> None:
    """The last thread, ahead of the first, writes every number; the first doubles it once it is there."""
    for place in range(len(numbers)):
        if me == len(progress) - 1:
            numbers[place] = place
            arrive(progress, me)
        if me == 0:
            meet(progress, me)
            numbers[place] *= 2


@pytest.mark.parametrize("threads", [1, 2])
def test_who_arrives_goes_on_and_the_others_see_what_it_wrote(threads: int):
    numbers = np.full(20_000, -1, dtype=np.int64)
    Team(threads).run(hand_over, numbers)
    assert numbers.tolist() == list(range(0, 40_000, 2))


def test_an_error_in_another_thread_is_told():
    def fails(progress: Progress, me: int) -> None:
        if me:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Team(2).run(fails)


def test_nobody_waits_for_a_thread_that_failed():
    @compiled()
    def meets(progress: Progress, me: int) -> None:
        meet(progress, me)

    for failing in (0, 1):

        def fails(progress: Progress, me: int, failing: int = failing) -> None:
            if me == failing:
                raise KeyboardInterrupt if me == 0 else ValueError("broken")
            meets(progress, me)

        team = Team(2)
        with pytest.raises((KeyboardInterrupt, ValueError)):
            team.run(fails)
        numbers = np.ones((2, 2), dtype=np.int64)
        team.run(take_turns, 100, numbers)
        assert numbers[0].tolist() == expected(2, 100)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the time of threads as Linux does")
def test_a_thread_that_waits_long_sleeps():
    import time

    def uneven(progress: Progress, me: int) -> None:
        if me:
            time.sleep(0.5)
            meet(progress, me)
            return
        begun = time.thread_time()
        meet(progress, me)
        waited.append(time.thread_time() - begun)

    waited: list[float] = []
    Team(2).run(uneven)
    assert waited[0] < 0.25
