"""Checks of ranked lists that another tool wrote, and of the figures that are claimed of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from gru4rec_cli.audit.check import Audit, CannotCheck, Checks, Choice, Measured
from gru4rec_cli.audit.claims import NEGATIVES, Claim, Ranked, is_complete, other_protocols, told
from gru4rec_cli.audit.split import read_parts
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, SUPPORT
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.sessions import Sessions, Vocabulary, sessions_from_frame, without_unseen
from gru4rec_cli.data.splitting import item_table
from gru4rec_cli.evaluation.metrics import METRICS, TieRule
from gru4rec_cli.evaluation.prediction_files import PLACE, RANK, SCORE, VALUE, Predictions, read_predictions
from gru4rec_cli.evaluation.predictions import rank_predictions
from gru4rec_cli.study.describing import Options

PREDICTIONS: Checks["Lists"] = Checks()

_EVENT = [SESSION, PLACE]
_CUTOFFS = (5, 10, 20)
_ANY = 1e-9  # a threshold that every figure but 0 reaches


@dataclass(frozen=True)
class Lists:
    """The lists of a file and the test that they are for; `whole` is the test as given, also with items that training
    lacks, and `named` is the same with indices for these items too."""

    predictions: Predictions
    whole: Sessions
    named: Sessions
    claims: tuple[Claim, ...] = ()

    @property
    def table(self) -> pl.DataFrame:
        """The rows of the file."""
        return self.predictions.lists

    @cached_property
    def once(self) -> Predictions:
        """The lists with every item once, at its lowest place."""
        if not self.repeated.height:
            return self.predictions
        lists = self.table.sort(VALUE).unique([*_EVENT, ITEM], keep="first", maintain_order=True)
        return Predictions(self.predictions.path, lists)

    @cached_property
    def ranked(self) -> Ranked:
        """The events whose target training holds, with their ranks."""
        test = without_unseen(self.whole)
        return Ranked(test, rank_predictions(self.once, self.whole, test))

    @cached_property
    def wider(self) -> dict[str, Ranked]:
        """All events of the test, with their ranks, by how those are counted whose target training lacks."""
        ways = {"targets that training lacks counted as misses": self.whole}
        if self.ranked.found.unknown:
            ways["targets that training lacks counted where they stand in the lists"] = self.named
        tests = {way: (whole, whole.with_targets()) for way, whole in ways.items()}
        return {way: Ranked(test, rank_predictions(self.once, whole, test)) for way, (whole, test) in tests.items()}

    @cached_property
    def repeated(self) -> pl.DataFrame:
        """The events that probably have more than one list: an item, or most rank numbers, are there twice."""
        items = self.table.filter(pl.struct(*_EVENT, ITEM).is_duplicated()).select(_EVENT)
        if RANK not in self.table.columns:
            return items.unique()
        by_event = self.table.group_by(*_EVENT, RANK).len().group_by(_EVENT)
        ranks = by_event.agg(numbers=pl.len(), twice=(pl.col("len") > 1).sum())
        ranks = ranks.filter((pl.col("numbers") > 1) & (2 * pl.col("twice") > pl.col("numbers")))
        return pl.concat([items, ranks.select(_EVENT)]).unique()

    @property
    def cutoff(self) -> int:
        """The largest of the usual cutoffs that the lists reach."""
        return max((k for k in _CUTOFFS if self.ranked.reaches(k)), default=self.ranked.found.longest)

    def require_one_list(self) -> None:
        """Raise `CannotCheck` where an event has more than one list."""
        if self.repeated.height:
            raise CannotCheck("some events have more than one list")


def audit_predictions(
    file: Path,
    train: Path,
    test: Path,
    claims: Sequence[str] = (),
    options: Options | None = None,
    choice: Choice | None = None,
    progress: Progress = SILENT,
) -> Audit:
    """Return the results of all checks of the ranked lists in a file, and our own figures of them.

    Training and test are read as `split` reads given parts and taken as they are; events whose target training lacks
    are passed over, as with `unseen: keep`. `options` are the layout of both; each of `claims` is `METRIC@K=VALUE`.

    Raises:
        UsageError: a claim is not of this form, options contradict each other, or an id is that of no check.
        DataError: a file cannot be read, or no list is for an event of the test.
    """
    claimed = tuple(Claim.of(text) for text in claims)
    parts = read_parts(train, test, None, options, progress)
    items = item_table(parts.train)
    vocabulary = Vocabulary(items[ITEM].to_numpy(), items[SUPPORT].to_numpy().astype(np.int64))
    whole = sessions_from_frame(parts.test, vocabulary)
    every = pl.concat([items[ITEM], parts.test[ITEM]]).unique(maintain_order=True)
    named = sessions_from_frame(parts.test, Vocabulary.of(every.to_numpy()))
    if not without_unseen(whole).n_targets:
        raise DataError(f"{test}: no session has two clicks on items of training", "do the files belong together?")
    with progress.task(f"read {file.name}"):
        lists = Lists(read_predictions(file), whole, named, claimed)
        facts = _facts(lists)
    return Audit(str(file), PREDICTIONS.run(lists, choice or Choice(), progress), facts)


def _facts(lists: Lists) -> dict[str, str]:
    """Return our own figures of the lists, at the usual cutoffs that they reach."""
    ranked = lists.ranked
    facts = {"events": f"{ranked.test.n_targets:,} in {ranked.test.n_sessions:,} sessions"}
    facts["longest list"] = f"{ranked.found.longest:,} items"
    cells = [(metric, k) for k in _CUTOFFS if ranked.reaches(k) for metric in METRICS]
    if cells and not lists.repeated.height:
        estimates = zip(cells, ranked.estimates(cells), strict=True)
        facts |= {f"{METRICS[metric].label}@{k}": str(estimate) for (metric, k), estimate in estimates}
    return facts


@PREDICTIONS.check(
    "P01-events-missing", "Every event of the test has a list", warn=_ANY, fail=0.01,
    remedy="write a list for every click of a test session but its first",
)  # fmt: skip
def _missing(lists: Lists) -> Measured:
    """A mean over the events that a tool happens to rank is another figure than one over all of them: what is left out
    is seldom easy. Here they count as misses."""
    found, events = lists.ranked.found, lists.ranked.test.n_targets
    return Measured(found.missing / events, f"{found.missing:,} of {events:,} events have no list")


@PREDICTIONS.check(
    "P02-other-events", "The lists are for events of the test", warn=_ANY, fail=0.05,
    remedy="predict this test, and give as position the place in its session of the click to be predicted: the second "
    "click is 2",
)  # fmt: skip
def _foreign(lists: Lists) -> Measured:
    """Lists for other events mean that another split was predicted, or that positions count something else. Then also
    those lists that seem to fit may be for other clicks."""
    foreign, events = lists.ranked.found.foreign, lists.table.select(_EVENT).n_unique()
    example = f", such as {foreign[0]}" if foreign else ""
    return Measured(len(foreign) / events, f"{len(foreign):,} of {events:,} lists are for other events{example}")


@PREDICTIONS.check(
    "P03-several-lists", "Every event has one list", warn=None, fail=_ANY,
    remedy="write one list an event; are these the lists of several models, seeds or batches?",
)  # fmt: skip
def _several(lists: Lists) -> Measured:
    """Where the lists of two models, or of overlapping batches, are in one file, a target is found at the better of its
    places, and the figures are too good. An event counts here if its list has an item twice, or most rank numbers."""
    events, repeated = lists.table.select(_EVENT).n_unique(), lists.repeated
    example = ", such as {}:{}".format(*min(repeated.rows())) if repeated.height else ""
    return Measured(repeated.height / events, f"{repeated.height:,} of {events:,} events have several{example}")


@PREDICTIONS.check(
    "P04-unknown-items", "The lists hold items of the training data alone", warn=_ANY, fail=0.01,
    remedy="fit the tool on this training file alone, and write the ids that stand there",
)  # fmt: skip
def _unknown(lists: Lists) -> Measured:
    """A tool that is fitted on training alone knows no other items. Others come from the test, or ids were numbered
    anew on the way. Each takes a place that no target can have."""
    unknown = lists.ranked.found.unknown
    rows = lists.table.select(pl.col(ITEM).is_in(list(unknown)).sum()).item()
    example = f", such as {unknown[0]}" if unknown else ""
    said = f"{rows:,} of {lists.table.height:,} places hold one of {len(unknown):,} items that training lacks{example}"
    return Measured(rows / lists.table.height, said)


@PREDICTIONS.check(
    "P05-items-never-ranked", "The lists reach into the catalogue", warn=0.9, fail=None,
    remedy="look whether all items were candidates; popular items alone are what a popularity ranking recommends",
)  # fmt: skip
def _never_ranked(lists: Lists) -> Measured:
    """Items that are in no list were perhaps no candidates, such as where only items of the test are ranked, or a model
    recommends the same few items to all (catalogue coverage; Ge et al., RecSys 2010)."""
    n_items, known = lists.whole.n_items, lists.ranked.found.known
    if known.sum() < n_items:
        raise CannotCheck(f"all lists together have {known.sum():,} places, fewer than the {n_items:,} items")
    ids = pl.Series(lists.whole.vocabulary.ids).cast(pl.String)
    never = n_items - int(ids.is_in(lists.table[ITEM].unique().implode()).sum())
    return Measured(never / n_items, f"{never:,} of {n_items:,} training items are in no list")


@PREDICTIONS.check(
    "P06-tied-scores", "No metric hangs on how ties are counted", warn=0.001, fail=0.01,
    remedy="write scores with all their digits; where a model gives equal scores, report the conservative count",
)  # fmt: skip
def _ties(lists: Lists) -> Measured:
    """Rounded scores, or a model that gives many items the same, seem good if ties are counted in favour of the target.
    The figure is what this adds, in the metric that it raises most. Ties with items that were cut off do not show."""
    lists.require_one_list()
    rules: tuple[TieRule, ...] = ("conservative", "optimistic")
    k, n_lists = lists.cutoff, lists.table.select(_EVENT).n_unique()
    means = {name: [float(lists.ranked.values(name, k, ties).mean()) for ties in rules] for name in METRICS}
    metric, (against, for_it) = max(means.items(), key=lambda mean: mean[1][1] - mean[1][0])
    tied = lists.table.filter(pl.struct(*_EVENT, VALUE).is_duplicated()).select(_EVENT).n_unique()
    said = (
        f"{tied:,} of {n_lists:,} lists have equal scores; {METRICS[metric].label}@{k} is "
        f"{against:.4f} with ties against the target, {for_it:.4f} with ties for it"
    )
    return Measured(for_it - against, said)


@PREDICTIONS.check(
    "P07-order-against-scores", "The order of every list is that of its scores", warn=None, fail=_ANY,
    remedy="write scores by which the highest is the best; where they are not, leave them out and write ranks alone",
)  # fmt: skip
def _order(lists: Lists) -> Measured:
    """Programs that read run files order a list by its scores and pass over its ranks, as trec_eval does, and as is
    done here. Where the two differ, the tool meant another list than the one that is judged."""
    if SCORE not in lists.table.columns or RANK not in lists.table.columns:
        raise CannotCheck("the file does not have both ranks and scores")
    if lists.table[RANK].n_unique() == 1:
        raise CannotCheck("all ranks are the same")
    lists.require_one_list()
    ordered = lists.table.sort(*_EVENT, RANK, SCORE, descending=[False, False, False, True])
    later = pl.col(RANK) > pl.col(RANK).shift(1).over(_EVENT)
    higher = (later & (pl.col(SCORE) > pl.col(SCORE).shift(1).over(_EVENT))).alias("higher")
    wrong = ordered.with_columns(higher).group_by(_EVENT).agg(pl.col("higher").any())["higher"]
    said = f"in {wrong.sum():,} of {len(wrong):,} lists an item has a higher score than one of a better rank"
    remedy = "are these distances? Write them with the sign changed" if wrong.all() else ""
    return Measured(int(wrong.sum()) / len(wrong), said, remedy)


@PREDICTIONS.check(
    "P08-claims", "The claimed figures are in our intervals", unit="claims", warn=None, fail=1,
    remedy="report the figure of the full ranking over all events, or name the other protocol beside it",
)  # fmt: skip
def _claims(lists: Lists) -> Measured:
    """The same lists give other figures under other protocols: ties counted for the target, only the last event of a
    session, the mean of sessions, sampled negatives (Krichene & Rendle, KDD 2020). The figure is how many claims are
    outside of our 95 % interval."""
    lists.require_one_list()
    known = [claim for claim in lists.claims if lists.ranked.reaches(claim.k)]
    beyond = [claim.label for claim in lists.claims if claim not in known]
    if not known:
        longest = f": the longest list has {lists.ranked.found.longest:,} items" if beyond else ""
        raise CannotCheck(f"{', '.join(beyond)} is not known{longest}" if beyond else "there is no claim")
    estimates = lists.ranked.estimates([(claim.metric, claim.k) for claim in known])
    outside = [claim for claim, own in zip(known, estimates, strict=True) if claim.is_outside(own)]
    said = [
        told(claim, own, other_protocols(lists.ranked, lists.wider, claim))
        for claim, own in zip(known, estimates, strict=True)
    ]
    if outside and not is_complete(lists.ranked):
        said.append(f"Whether {NEGATIVES} sampled negatives give it cannot be checked: the lists do not hold all items")
    said += [f"{', '.join(beyond)} cannot be checked: the lists are shorter"] if beyond else []
    return Measured(len(outside), ". ".join(said))
