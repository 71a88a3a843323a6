"""Every check of predictions finds its fault and is silent on a clean file; claims are traced to their protocol."""

from collections.abc import Callable, Sequence
from math import comb, log2
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.audit.check import Audit, Choice, Result
from gru4rec_cli.audit.claims import Claim, Estimate, Ranked, other_protocols
from gru4rec_cli.audit.predictions import PREDICTIONS, audit_predictions
from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.evaluation.predictions import OUTSIDE, PredictedRanks
from gru4rec_cli.models.checks import sessions_of
from tests.audit.faulty import by_id, wrong

MISSING, OTHER, SEVERAL, UNKNOWN = "P01-events-missing", "P02-other-events", "P03-several-lists", "P04-unknown-items"
NEVER, TIES, ORDER, CLAIMS = "P05-items-never-ranked", "P06-tied-scores", "P07-order-against-scores", "P08-claims"
ITEMS = [f"item {number}/:" for number in range(30)]
EVENT = ["session", "position"]
LONGEST = 10


def clicks(seed: int, sessions: int, name: str) -> pl.DataFrame:
    """Sessions of two to six clicks, one an hour, with text ids that hold spaces, colons and slashes."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(sessions):
        chosen = rng.choice(ITEMS, rng.integers(2, 7))
        rows += [(f"{name} s:{number}", item, 1_700_000_000 + 3600 * number + k) for k, item in enumerate(chosen)]
    return pl.DataFrame(rows, ["SessionId", "ItemId", "Time"], orient="row")


TRAIN, TEST = clicks(1, 200, "train"), clicks(2, 150, "test")


def clean_lists(test: pl.DataFrame = TEST, longest: int = LONGEST, seed: int = 3) -> pl.DataFrame:
    """Lists by random scores, with a better one for every other target; ranks follow the scores."""
    rng = np.random.default_rng(seed)
    rows = []
    for (session,), group in test.group_by("SessionId", maintain_order=True):
        for position, target in enumerate(group["ItemId"].to_list()[1:], start=2):
            scores = rng.random(len(ITEMS))
            if target in ITEMS and rng.random() < 0.5:
                scores[ITEMS.index(target)] += 0.6
            best = np.argsort(-scores)[:longest]
            rows += [(session, position, ITEMS[i], rank, scores[i]) for rank, i in enumerate(best.tolist(), start=1)]
    return pl.DataFrame(rows, [*EVENT, "item", "rank", "score"], orient="row")


def audit_of(folder: Path, lists: pl.DataFrame, test: pl.DataFrame = TEST, **more: Any) -> Audit:
    for name, table in (("train", TRAIN), ("test", test), ("theirs", lists)):
        table.write_csv(folder / f"{name}.csv")
    return audit_predictions(folder / "theirs.csv", folder / "train.csv", folder / "test.csv", **more)


def results_of(folder: Path, lists: pl.DataFrame, **more: Any) -> dict[str, Result]:
    return by_id(audit_of(folder, lists, **more).results)


def test_a_clean_file_passes(tmp_path: Path):
    found = audit_of(tmp_path, clean_lists(), claims=["recall@10=0.6"])
    results = by_id(found.results)
    assert wrong(results) <= {CLAIMS}
    assert {result.verdict for name, result in results.items() if name != CLAIMS} == {"PASS"}
    own = float(found.facts["Recall@10"].split()[0])
    assert results_of(tmp_path, clean_lists(), claims=[f"recall@10={own}"])[CLAIMS].verdict == "PASS"
    assert results_of(tmp_path, clean_lists())[CLAIMS].evidence == "cannot be checked: there is no claim"


first = pl.struct(EVENT) == pl.struct(EVENT).first()
FAULTS: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a list is missing": (MISSING, lambda lists: lists.filter(~first), "WARN"),
    "many lists are missing": (MISSING, lambda lists: lists.filter(pl.struct(EVENT).rank("dense") % 10 > 0), "FAIL"),
    "a list is for another session": (
        OTHER,
        lambda lists: pl.concat([lists, lists.filter(first).with_columns(session=pl.lit("test s:1000"))]),
        "WARN",
    ),
    "a list is for a click beyond the session": (
        OTHER,
        lambda lists: pl.concat([lists, lists.filter(first).with_columns(position=pl.lit(99, pl.Int64))]),
        "WARN",
    ),
    "two models are in one file": (SEVERAL, lambda lists: pl.concat([lists, clean_lists(seed=9)]), "FAIL"),
    "batches overlap": (SEVERAL, lambda lists: pl.concat([lists, lists.filter(first)]), "FAIL"),
    "lists are joined that share no item": (
        SEVERAL,
        lambda lists: lists.with_columns(rank=(pl.col("rank") + 1) // 2),
        "FAIL",
    ),
    "an item has another id": (
        UNKNOWN,
        lambda lists: lists.with_columns(pl.col("item").replace(ITEMS[0], "item 00/:")),
        "FAIL",
    ),
    "popular items alone": (
        NEVER,
        lambda lists: lists.filter(pl.col("rank") < 3).with_columns(
            item=pl.when(pl.col("rank") == 1).then(pl.lit(ITEMS[0])).otherwise(pl.lit(ITEMS[1]))
        ),
        "WARN",
    ),
    "all scores are the same": (TIES, lambda lists: lists.with_columns(score=pl.lit(0.5)), "FAIL"),
    "scores are distances": (ORDER, lambda lists: lists.with_columns(score=-pl.col("score")), "FAIL"),
    "a rank is wrong": (
        ORDER,
        lambda lists: lists.with_columns(rank=pl.when(first & (pl.col("rank") == 1)).then(99).otherwise("rank")),
        "FAIL",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(tmp_path: Path, name: str):
    check, plant, verdict = FAULTS[name]
    results = results_of(tmp_path, plant(clean_lists()))
    assert results[check].verdict == verdict
    assert results[check].remedy
    assert wrong(results) == {check}


def test_every_check_has_a_fault_that_it_finds_and_says_why_it_matters():
    assert {check for check, _, _ in FAULTS.values()} | {CLAIMS} == set(PREDICTIONS.all)
    assert all(len(check.why) > 80 for check in PREDICTIONS.all.values())


def test_distances_are_named_and_one_wrong_rank_is_not_taken_for_them(tmp_path: Path):
    lists = clean_lists()
    reversed_ = results_of(tmp_path, lists.with_columns(score=-pl.col("score")))[ORDER]
    assert reversed_.remedy == "are these distances? Write them with the sign changed"
    one = results_of(tmp_path, FAULTS["a rank is wrong"][1](lists))[ORDER]
    assert one.evidence.startswith("in 1 of ")
    assert "distances" not in one.remedy


def test_what_a_file_does_not_hold_is_not_checked(tmp_path: Path):
    by_rank = results_of(tmp_path, clean_lists().drop("score"))
    assert by_rank[ORDER].verdict == "NOT CHECKED"
    assert wrong(by_rank) == set()
    constant = results_of(tmp_path, clean_lists().with_columns(rank=pl.lit(1)))
    assert constant[ORDER].evidence == "cannot be checked: all ranks are the same"
    assert wrong(constant) == set()
    few = results_of(tmp_path, clean_lists().filter(pl.struct(EVENT).rank("dense") <= 2))
    assert few[NEVER].evidence == "cannot be checked: all lists together have 20 places, fewer than the 30 items"
    several = results_of(tmp_path, FAULTS["two models are in one file"][1](clean_lists()), claims=["mrr@5=0.1"])
    for check in (TIES, ORDER, CLAIMS):
        assert several[check].evidence == "cannot be checked: some events have more than one list"
    beyond = results_of(tmp_path, clean_lists(), claims=["recall@20=0.5"])[CLAIMS]
    assert beyond.evidence == "cannot be checked: Recall@20 is not known: the longest list has 10 items"


def test_a_claim_of_another_protocol_is_named(tmp_path: Path):
    """Rounded scores: Recall with ties counted for the target is what a tool with the optimistic rule reports."""
    rough = clean_lists(longest=30).with_columns(score=(2 * pl.col("score")).round())
    targets = TEST.with_columns(position=pl.int_range(1, pl.len() + 1).over("SessionId"), item="ItemId")
    own = rough.join(targets, left_on=[*EVENT, "item"], right_on=["SessionId", "position", "item"])
    higher = (pl.col("score") > pl.col("own")).sum().alias("above")
    above = rough.join(own.select(*EVENT, own="score"), on=EVENT).group_by(EVENT).agg(higher)
    optimistic = f"{above.filter(pl.col('above') < 20).height / above.height:.4f}"
    result = results_of(tmp_path, rough.drop("rank"), claims=[f"recall@20={optimistic}", "recall@5=1.0"])[CLAIMS]
    assert (result.verdict, result.shown) == ("FAIL", "2 claims")
    assert f"The claim is what this gives: ties counted in favour of the target ({optimistic})" in result.evidence
    assert "sampled negatives give it cannot" not in result.evidence  # all 30 items are there
    assert "Recall@5 is claimed to be 1; it is 0." in result.evidence
    assert "No other protocol that was tried gives the claim; the nearest is" in result.evidence
    short = results_of(tmp_path, clean_lists(), claims=["recall@10=1.0"])[CLAIMS]
    assert "Whether 100 sampled negatives give it cannot be checked: the lists do not hold all items" in short.evidence


def ranked(clicks_: Sequence[Sequence[int]], greater: list[int], equal: list[int], n_items: int, known: int) -> Ranked:
    lengths = np.array([0 if above == OUTSIDE else known for above in greater])
    found = PredictedRanks(np.array(greater), np.array(equal), lengths, np.minimum(lengths, known), (), ())
    return Ranked(sessions_of(clicks_, n_items=n_items), found)


def test_other_protocols_by_hand():
    """Ranks: session A 1, 2, then 2 or 3; session B 1, and one event without a list."""
    ours = ranked([[0, 1, 2, 0], [0, 1, 3]], [0, 1, 1, 0, OUTSIDE], [0, 0, 1, 0, 0], n_items=5, known=3)
    assert ours.values("recall", 2).tolist() == [1, 1, 0, 1, 0]
    found = dict(other_protocols(ours, {}, Claim.of("recall@2=0.5")))
    assert found == {
        "ties counted in favour of the target": pytest.approx(4 / 5),
        "the last event of each session alone": pytest.approx(0),
        "the mean over sessions of the mean of each": pytest.approx((2 / 3 + 1 / 2) / 2),
        "events without a list left out": pytest.approx(3 / 4),
    }
    ndcg = dict(other_protocols(ours, {}, Claim.of("ndcg@2=0.5")))
    assert ndcg["events without a list left out"] == pytest.approx((2 + 1 / log2(3)) / 4)


def test_sampled_negatives_by_hand():
    """119 other items, 2 of them above the target: the rank among 100 of them is 1 if neither is drawn."""
    complete = ranked([[0, 1], [0, 1]], [2, 0], [0, 0], n_items=120, known=120)
    found = dict(other_protocols(complete, {}, Claim.of("recall@1=0.5")))
    assert found["100 uniform sampled negatives"] == pytest.approx((comb(117, 100) / comb(119, 100) + 1) / 2)


def test_targets_that_training_lacks_are_passed_over_and_a_claim_with_them_is_named(tmp_path: Path):
    place = pl.int_range(1, pl.len() + 1).over("SessionId").alias("position")
    new = (place > 2) & pl.col("ItemId").is_in(ITEMS[:20])
    test = TEST.with_columns(ItemId=pl.when(new).then(pl.lit("new item")).otherwise("ItemId"))
    lists = clean_lists(test)
    targets = test.with_columns(place).filter(pl.col("position") > 1)
    hits = targets.join(lists, left_on=["SessionId", "position", "ItemId"], right_on=[*EVENT, "item"], how="inner")
    kept, claim = targets.filter(pl.col("ItemId") != "new item"), f"{hits.height / targets.height:.4f}"
    assert kept.height < 0.8 * targets.height
    audit = audit_of(tmp_path, lists, test=test, claims=[f"recall@10={claim}"])
    assert audit.facts["events"] == f"{kept.height} in 150 sessions"
    assert audit.facts["Recall@10"].startswith(f"{hits.height / kept.height:.4f} [")
    results = by_id(audit.results)
    assert wrong(results) == {CLAIMS}
    assert f"what this gives: targets that training lacks counted as misses ({claim})" in results[CLAIMS].evidence


def test_the_last_events_of_sessions_are_named_also_where_the_claim_is_in_our_interval(tmp_path: Path):
    lists = clean_lists()
    targets = TEST.with_columns(
        position=pl.int_range(1, pl.len() + 1).over("SessionId"), length=pl.len().over("SessionId")
    )
    hits = targets.join(lists, left_on=["SessionId", "position", "ItemId"], right_on=[*EVENT, "item"], how="inner")
    last = f"{hits.filter(pl.col('position') == pl.col('length')).height / TEST['SessionId'].n_unique():.4f}"
    result = results_of(tmp_path, lists, claims=[f"recall@10={last}"])[CLAIMS]
    assert result.verdict == "PASS"
    assert f"claimed: {float(last):g}, which is what this gives: the last event of each session alone ({last})" in (
        result.evidence
    )


def test_all_claims_are_told_if_one_of_them_is_outside(tmp_path: Path):
    own = audit_of(tmp_path, clean_lists()).facts["MRR@10"].split()[0]
    result = results_of(tmp_path, clean_lists(), claims=["recall@10=1.0", f"mrr@10={own}"])[CLAIMS]
    assert (result.verdict, result.shown) == ("FAIL", "1 claim")
    assert f"MRR@10 is {own} [" in result.evidence
    assert f"claimed: {float(own):g}" in result.evidence


def test_a_tool_that_ranks_items_of_the_test_too_is_named(tmp_path: Path):
    """Its candidates are the items of training and test, and a target that training lacks counts as a hit."""
    place = pl.int_range(1, pl.len() + 1).over("SessionId").alias("position")
    length = pl.len().over("SessionId").alias("length")
    test = TEST.with_columns(
        ItemId=pl.when((place > 2) & pl.col("ItemId").is_in(ITEMS[:20])).then(pl.lit("new item")).otherwise("ItemId")
    )
    lists = clean_lists(test).with_columns(item=pl.when(pl.col("rank") == 5).then(pl.lit("new item")).otherwise("item"))
    targets = test.with_columns(place, length).filter(pl.col("position") > 1)
    hits = targets.join(lists, left_on=["SessionId", "position", "ItemId"], right_on=[*EVENT, "item"], how="inner")
    hits_of_last, is_last = hits.filter(pl.col("position") == pl.col("length")), pl.col("position") == pl.col("length")
    known = hits_of_last.filter(pl.col("ItemId") != "new item")
    held, missed = (
        "targets that training lacks counted where they stand in the lists",
        "targets that training lacks counted as misses",
    )
    claims = {
        f"{held}": hits.height / targets.height,
        f"the last event of each session alone, {held}": hits_of_last.height / targets.filter(is_last).height,
        f"the last event of each session alone, {missed}": known.height / targets.filter(is_last).height,
    }
    for name, value in claims.items():
        result = results_of(tmp_path, lists, test=test, claims=[f"recall@10={value:.4f}"])[CLAIMS]
        assert f"what this gives: {name} ({value:.4f})" in result.evidence


def test_facts_are_the_figures_by_hand_and_stop_at_the_length_of_the_lists(tmp_path: Path):
    lists = clean_lists()
    facts = audit_of(tmp_path, lists).facts
    targets = TEST.with_columns(position=pl.int_range(1, pl.len() + 1).over("SessionId")).filter(pl.col("position") > 1)
    hits = targets.join(lists, left_on=["SessionId", "position", "ItemId"], right_on=[*EVENT, "item"], how="inner")
    assert facts["Recall@5"].startswith(f"{hits.filter(pl.col('rank') <= 5).height / targets.height:.4f} [")
    assert facts["MRR@10"].startswith(f"{(1 / hits['rank']).sum() / targets.height:.4f} [")
    assert [name for name in facts if "@" in name] == [f"{m}@{k}" for k in (5, 10) for m in ("Recall", "MRR", "NDCG")]


NOT_CLAIMS = [
    *("recall@20", "recall=0.5", "hits@20=0.5", "recall@0=0.5", "recall@1000001=0.5", f"recall@{'9' * 5000}=0.5"),
    *("recall@20=52", "recall@20=", "recall@20=0.5x", "recall@20=."),
]


@pytest.mark.parametrize("text", NOT_CLAIMS)
def test_a_claim_of_another_form_is_a_usage_error(text: str):
    with pytest.raises(UsageError, match="--claim"):
        Claim.of(text)


def test_a_claim_is_as_exact_as_its_digits():
    claim = Claim.of("recall@20=0.52")
    assert (claim.metric, claim.k, claim.value, claim.half) == ("recall", 20, 0.52, 0.005)
    assert claim.is_value(0.5249)
    assert not claim.is_value(0.5251)
    assert not claim.is_outside(Estimate(0.53, 0.5249, 0.54))
    assert claim.is_outside(Estimate(0.53, 0.5251, 0.54))
    assert Claim.of("mrr@5=1").half == 0.5
    assert Claim.of("mrr@5=.250").half == 0.0005


def test_choices_and_errors_are_those_of_the_framework(tmp_path: Path):
    audit = audit_of(
        tmp_path, FAULTS["a list is missing"][1](clean_lists()), choice=Choice((MISSING,), {MISSING: "one"})
    )
    assert [(result.id, result.ignored) for result in audit.results] == [(MISSING, "one")]
    with pytest.raises(UsageError, match="there is no check"):
        audit_of(tmp_path, clean_lists(), choice=Choice(("P99",)))
    with pytest.raises(DataError, match="no list is for an event of the test"):
        audit_of(tmp_path, clean_lists().with_columns(session=pl.lit("x")))
