"""What other protocols show, and whom they put first, by hand."""

import numpy as np
import pytest

from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation.metrics import METRICS, TIE_RULES, metric_values, ranks
from gru4rec_cli.evaluation.ranking import TargetRanks
from gru4rec_cli.evaluation.sensitivity import SampledProtocols, sensitivity
from gru4rec_cli.evaluation.settings import EvaluateSettings
from tests.worlds import sessions_of, with_supports

N_ITEMS = 2001
SETTINGS = EvaluateSettings(cutoffs=(1, 20))


def world(unseen: bool = False) -> Sessions:
    """Four events; all items equally popular."""
    sessions = with_supports(sessions_of([[0, 1, 2, 3, 4]], n_items=N_ITEMS), [3] * N_ITEMS)
    if unseen:
        sessions.items[-1] = UNSEEN
    return sessions


def ranks_of(greater: list[int], equal: list[int]) -> TargetRanks:
    above, same = np.array(greater), np.array(equal)
    return TargetRanks(above, same, 3 * above, 3 * same, np.zeros((len(above), 0), dtype=np.int32))


def full_values(found: TargetRanks) -> dict[tuple[str, str, int], float]:
    return {
        (ties, metric, k): float(metric_values(ranks(found.greater, found.equal, ties), metric, k).mean())
        for ties in TIE_RULES
        for metric in METRICS
        for k in SETTINGS.cutoffs
    }


def test_sampling_puts_the_model_that_is_never_first_on_top():
    # "sharp" is right half of the time and far off otherwise; "blunt" is always second.
    models = {"blunt": ranks_of([1, 1, 1, 1], [0] * 4), "sharp": ranks_of([0, 0, 1500, 1500], [0] * 4)}
    protocols = SampledProtocols(world(), SETTINGS)
    found = sensitivity(
        {name: full_values(ranked) for name, ranked in models.items()},
        {name: [protocols.means(ranked)] for name, ranked in models.items()},
        SETTINGS,
        N_ITEMS,
    )
    assert (found["ties"], found["capped"]) == ("conservative", [])
    rows = {
        (row["model"], row["protocol"], row["negatives"], row["k"]): row
        for row in found["rows"]
        if row["metric"] == "recall" and row["ties"] == "conservative"
    }
    # The one item above is in a sample of 100 out of 2,000 with probability 1/20.
    blunt = rows["blunt", "uniform", 100, 1]
    assert (blunt["value"], blunt["full"], blunt["factor"]) == (pytest.approx(19 / 20), 0, None)
    assert rows["blunt", "popularity", 1000, 1]["value"] == pytest.approx((1999 / 2000) ** 1000)
    sharp = rows["sharp", "uniform", 100, 20]
    assert (sharp["full"], sharp["value"], sharp["factor"]) == (0.5, pytest.approx(0.5), pytest.approx(1))
    # 1,000 of 2,000 hold it every second time: level with "sharp", and so no longer below it.
    assert rows["blunt", "uniform", 1000, 1]["value"] == pytest.approx(1 / 2)
    at_one = [f for f in found["flips"] if f["metric"] == "recall" and f["k"] == 1]
    assert [(f["first"], f["second"], f["protocol"], f["negatives"], f["full"]) for f in at_one] == [
        ("sharp", "blunt", "uniform", 100, [0.5, 0]),
        ("sharp", "blunt", "uniform", 1000, [0.5, 0]),
        ("sharp", "blunt", "popularity", 100, [0.5, 0]),
        ("sharp", "blunt", "popularity", 1000, [0.5, 0]),
    ]
    assert at_one[0]["shown"] == pytest.approx([0.5, 19 / 20])
    assert not [f for f in found["flips"] if f["k"] == 20 and f["first"] == "sharp"]


def test_a_tie_rule_can_put_a_constant_scorer_on_top():
    models = {"constant": ranks_of([0] * 4, [2000] * 4), "third": ranks_of([2] * 4, [0] * 4)}
    protocols = SampledProtocols(world(), SETTINGS)
    values = {name: full_values(ranked) for name, ranked in models.items()}
    found = sensitivity(values, {name: [protocols.means(ranked)] for name, ranked in models.items()}, SETTINGS, N_ITEMS)
    flips = [f for f in found["flips"] if f["metric"] == "recall" and f["k"] == 20]
    assert [(f["first"], f["second"], f["protocol"], f["ties"], f["full"], f["shown"]) for f in flips] == [
        ("third", "constant", "ties", "optimistic", [1, 0], [1, 1])
    ]
    shown = {row["ties"]: row["value"] for row in found["rows"] if row["protocol"] == "ties" and row["k"] == 20}
    assert set(shown) == set(TIE_RULES)


@pytest.mark.parametrize(("ties", "above"), [("conservative", 1000), ("median", 501), ("optimistic", 2)])
def test_equal_items_count_as_in_the_headline(ties: str, above: int):
    settings = EvaluateSettings.model_validate({"cutoffs": (1,), "ties": ties})
    means = SampledProtocols(world(), settings).means(ranks_of([2] * 4, [998] * 4))
    assert {key[2] for key in means} == {ties}
    assert means["popularity", 100, ties][0, 0] == pytest.approx((1 - above / 2000) ** 100)


def test_a_target_that_training_lacks_is_a_miss_in_every_protocol():
    found = ranks_of([0, 0, 0, N_ITEMS], [0] * 4)
    for means in SampledProtocols(world(unseen=True), EvaluateSettings(cutoffs=(5000,))).means(found).values():
        assert means[0, 0] == pytest.approx(3 / 4)


def test_models_are_shown_as_the_mean_over_their_fits_and_small_catalogues_are_told():
    protocols = SampledProtocols(world(), SETTINGS)
    fits = [protocols.means(ranks_of([above] * 4, [0] * 4)) for above in (0, 1)]
    values = {"a": dict.fromkeys(full_values(ranks_of([0] * 4, [0] * 4)), 0.5)}
    found = sensitivity(values, {"a": fits}, SETTINGS, 1001)
    (row,) = [
        row
        for row in found["rows"]
        if (row["protocol"], row["negatives"], row["metric"], row["k"]) == ("uniform", 100, "recall", 1)
    ]
    assert row["value"] == pytest.approx((1 + 19 / 20) / 2)
    assert row["factor"] == pytest.approx((1 + 19 / 20) / 2 / 0.5)
    assert found["capped"] == [1000]
