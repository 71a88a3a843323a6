"""Checks of a fitted model, ours or somebody else's: what must hold of its scores, whatever it has learned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gru4rec_cli.audit.check import Audit, CannotCheck, Checks, Choice, Measured
from gru4rec_cli.base.arrays import AnyArray, Float64Array
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.conformance.run import check_cases
from gru4rec_cli.data.sessions import UNSEEN

MODEL: Checks["Scorer"] = Checks()

Histories = Sequence[Sequence[int]]
Scores = Float64Array
Score = Callable[[Histories], Scores]

_LONGEST = 50  # clicks of the session that is put beside the others
_TOP = 20
_NAMED = 5  # parameters that a finding names
_ROUNDING = 1e-5  # relative to the largest score of an event


@dataclass(frozen=True)
class Scorer:
    """Anything that scores all items after a history.

    `score(histories)` takes lists of item indices, none empty, and gives scores (histories, items); `histories` are
    some to try it with. `again` loads the same model anew, where it can be loaded. `cases` are recorded runs of
    GRU4Rec, and `adapter` the file that replays them; see docs/conformance.md.

    What else there may be: `followed(histories, futures)` scores after every history in a session that goes on with a
    future. `renumbered()` gives a model, and the scores of the same one with its V items numbered backwards: item i is
    V − 1 − i there. `gradients()` gives the gradient of every parameter after some training; None: it has none.
    """

    name: str
    score: Score
    histories: Histories
    again: Callable[[], Score] | None = None
    cases: tuple[Path, ...] = ()
    adapter: Path | None = None
    skips_unknown: bool = False  # a click on an item that training lacks may be given, as UNSEEN
    followed: Callable[[Histories, Histories], Scores] | None = None
    renumbered: "Callable[[], tuple[Scorer, Score]] | None" = None
    gradients: Callable[[], Mapping[str, AnyArray | None]] | None = None

    @cached_property
    def together(self) -> Scores:
        """Return the scores after all histories, (histories, items)."""
        return self.of(self.histories)

    def of(self, histories: Histories, score: Score | None = None) -> Scores:
        """Return scores as float64, by another function than `score` where one is given.

        Raises:
            DataError: they are not one row for each history, all of one width.
        """
        hint = "it must give a row for each history, with a score for each item, as numbers"
        returned = (score or self.score)(histories)
        try:
            found = np.asarray(returned, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.name}: score({len(histories)} histories) gave no numbers: {error}", hint) from None
        width = self.__dict__["together"].shape[1:] if "together" in self.__dict__ else found.shape[1:]
        if found.ndim != 2 or len(found) != len(histories) or found.shape[1:] != width:
            raise DataError(
                f"{self.name}: score({len(histories)} histories) gave an array of shape {found.shape}", hint
            )
        return found

    def differing(self, other: Scores) -> Measured:
        """Return the share of histories whose scores differ from those all together by more than rounding."""
        scale = np.maximum(np.abs(self.together).max(axis=1, keepdims=True), 1e-30)
        largest = (np.abs(self.together - other) / scale).max(axis=1)
        count = int((~(largest <= _ROUNDING)).sum())
        said = f"{count:,} of {len(largest):,} histories have other scores, by up to {largest.max():.1e} of the largest"
        return Measured(count / len(largest), said)


def audit_model(scorer: Scorer, choice: Choice | None = None, progress: Progress = SILENT) -> Audit:
    """Return the results of all checks of a model.

    Raises:
        DataError: its scores have another shape.
        UsageError: an id is that of no check.
    """
    return Audit(scorer.name, MODEL.run(scorer, choice or Choice(), progress))


def _tops(scores: Scores) -> npt.NDArray[np.int64]:
    """Return the best items after every history, best first, equal ones by index."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]


@MODEL.check(
    "M01-numbers", "All scores are numbers", warn=None, fail=1e-9,
    remedy="find out where the training diverged, or what divides by zero",
)  # fmt: skip
def _numbers(scorer: Scorer) -> Measured:
    """With NaN, every comparison is false: depending on how ranks are counted, a diverged model is perfect or
    useless."""
    wrong = int((~np.isfinite(scorer.together).all(axis=1)).sum())
    return Measured.share(wrong, len(scorer.histories), "histories have scores that are NaN or infinite")


@MODEL.check(
    "M02-determinism", "The same history has the same scores again", warn=None, fail=1e-9,
    remedy="switch off dropout and everything else that is random when scoring (model.eval())",
)  # fmt: skip
def _again(scorer: Scorer) -> Measured:
    """Dropout that stays on when a model is evaluated lowers its metrics, and makes them another number each time."""
    return scorer.differing(scorer.of(scorer.histories))


@MODEL.check(
    "M03-batches", "Scores do not depend on the other sessions of a batch", warn=None, fail=1e-9,
    remedy="look for batch normalisation, attention without a mask, or targets of the batch among the inputs",
)  # fmt: skip
def _batches(scorer: Scorer) -> Measured:
    """DGNN (WSDM 2023) used what stood in the same test batch, targets among it: Recall@20 fell from 82.5 to 71.3 once
    the batches were shuffled. Here every history is scored alone."""
    return scorer.differing(np.concatenate([scorer.of([history]) for history in scorer.histories]))


@MODEL.check(
    "M04-state", "No session leaves anything behind for the next", warn=None, fail=1e-9,
    remedy="reset the hidden state before each session",
)  # fmt: skip
def _state(scorer: Scorer) -> Measured:
    """Reimplementations of GRU4Rec carry the hidden state of one session into the next. Here the histories are scored
    in the reverse order."""
    return scorer.differing(scorer.of(list(scorer.histories)[::-1])[::-1])


@MODEL.check(
    "M05-padding", "A long session beside a short one changes nothing", warn=None, fail=1e-9,
    remedy="mask the padding in attention, in means, and in the place from which the last state is taken",
)  # fmt: skip
def _padding(scorer: Scorer) -> Measured:
    """Sessions of a batch are padded to the longest. Ports of SASRec mask the padding wrongly, so that a short session
    has other scores beside a long one."""
    clicks = [click for history in scorer.histories for click in history]
    long = (clicks * _LONGEST)[:_LONGEST]
    return scorer.differing(scorer.of([*scorer.histories, long])[:-1])


@MODEL.check(
    "M06-history", "The scores depend on more than the last click", warn=0.99, fail=None,
    remedy="look for a state that is reset at every click; a model of single clicks (Markov chain, item-to-item) is so",
)  # fmt: skip
def _history(scorer: Scorer) -> Measured:
    """A recurrent model whose state is lost between clicks is a Markov chain with many parameters. The share is that of
    histories of two clicks or more that have the same best 20 items as their last click alone."""
    chosen = [place for place, history in enumerate(scorer.histories) if len(set(history)) > 1]
    if not chosen:
        raise CannotCheck("no history has two items")
    alone = _tops(scorer.of([scorer.histories[place][-1:] for place in chosen]))
    same = (alone == _tops(scorer.together[chosen])).all(axis=1)
    return Measured.share(int(same.sum()), len(same), f"histories have the best {_TOP} items of their last click")


@MODEL.check(
    "M07-popularity", "Different sessions get different lists", warn=0.5, fail=0.99,
    remedy="look for saturated outputs, or a bias that outweighs the state; popularity itself is so",
)  # fmt: skip
def _popularity(scorer: Scorer) -> Measured:
    """A model that recommends the same items to everybody has learned popularity alone. The share is that of the most
    frequent list of the best 20 items."""
    _, counts = np.unique(_tops(scorer.together), axis=0, return_counts=True)
    return Measured(
        float(counts.max() / counts.sum()),
        f"the most frequent list is that of {int(counts.max()):,} of {int(counts.sum()):,} histories",
    )


@MODEL.check(
    "M08-order", "The scores depend on the order of the clicks before the last", warn=0.99, fail=None,
    remedy="nothing, for a model that is meant to see a set of clicks; else look at how positions get in",
)  # fmt: skip
def _order(scorer: Scorer) -> Measured:
    """A model of sequences that gives a shuffled history the same scores does not use the order that it is praised for.
    The share is that of histories with three different clicks or more whose best 20 items stay the same if all but the
    last click are reversed."""
    chosen = [place for place, history in enumerate(scorer.histories) if len(set(history[:-1])) > 1]
    if not chosen:
        raise CannotCheck("no history has two different clicks before the last")
    reversed_ = [[*scorer.histories[place][-2::-1], scorer.histories[place][-1]] for place in chosen]
    same = (_tops(scorer.of(reversed_)) == _tops(scorer.together[chosen])).all(axis=1)
    return Measured.share(
        int(same.sum()), len(same), f"histories have the same best {_TOP} items with their beginning reversed"
    )


@MODEL.check(
    "M09-ties", "The best items have different scores", warn=0.1, fail=0.9,
    remedy="compare under conservative ties, and find out why scores are equal (few decimals, saturation)",
)  # fmt: skip
def _ties(scorer: Scorer) -> Measured:
    """Where the best items have the same score, their order is that of their indices, and a tie rule decides the
    metrics. Neighbourhood methods and counts have ties; a neural model has none."""
    best = -np.sort(-scorer.together, axis=1)[:, :_TOP]
    tied = (np.diff(best, axis=1) == 0).any(axis=1)
    return Measured.share(int(tied.sum()), len(tied), f"histories have equal scores among their best {_TOP} items")


@MODEL.check(
    "M10-repeats", "The best item is not always the one just clicked", warn=0.9, fail=None,
    remedy="say how often the next click repeats the last in this log; else look for the input in the output",
)  # fmt: skip
def _repeats(scorer: Scorer) -> Measured:
    """A model with one item matrix for input and output, and little else, recommends what was clicked. It is right
    where logs have many reloads, and useless to a visitor."""
    last = np.array([history[-1] for history in scorer.histories])
    same = scorer.together.argmax(axis=1) == last
    return Measured.share(int(same.sum()), len(same), "histories have their last click as the best item")


@MODEL.check(
    "M11-reload", "A model that is loaded again gives the same scores", warn=None, fail=1e-9,
    remedy="save everything that scores follow from, also what was computed when training ended",
)  # fmt: skip
def _reload(scorer: Scorer) -> Measured:
    """What is evaluated must be what is used later."""
    if scorer.again is None:
        raise CannotCheck("the model cannot be loaded again")
    return scorer.differing(scorer.of(scorer.histories, scorer.again()))


@MODEL.check(
    "M12-unknown-items", "A click on an unknown item changes nothing", warn=None, fail=1e-9,
    remedy="pass over items that training lacks",
)  # fmt: skip
def _unknown(scorer: Scorer) -> Measured:
    """In use there are new items every day. A model that takes them for padding, or for the last item, recommends
    anything."""
    if not scorer.skips_unknown:
        raise CannotCheck("it is not known how the model is told of an unknown item")
    return scorer.differing(scorer.of([[*history, UNSEEN] for history in scorer.histories]))


@MODEL.check(
    "M13-conformance", "It computes what GRU4Rec computes", unit="cases", warn=None, fail=1,
    remedy="correct the fault that is named",
)  # fmt: skip
def _conformance(scorer: Scorer) -> Measured:
    """For an implementation of GRU4Rec: recorded runs of the author's are replayed, step by step, and a deviation is
    compared with the known faults of third-party implementations (Hidasi & Czapp, RecSys 2023)."""
    if scorer.adapter is None or not scorer.cases:
        raise CannotCheck("no recorded runs are given, or the file has no replay(recording)")
    verdicts = check_cases(scorer.cases, scorer.adapter)
    wrong = [verdict for verdict in verdicts if not verdict.holds]
    named = []
    for verdict in wrong:
        faults = verdict.diagnosis.faults if verdict.diagnosis else ("no known fault",)
        named.append(f"{verdict.recording.name}: {' or '.join(faults)}")
    return Measured(len(wrong), "; ".join(named) or f"all {len(verdicts)} recorded runs are replayed")


@MODEL.check(
    "M14-item-numbers", "The scores do not depend on how items are numbered", warn=None, fail=1e-9,
    remedy="look for item 0 taken as padding, rows shifted by one, and item numbers that are calculated with",
)  # fmt: skip
def _item_numbers(scorer: Scorer) -> Measured:
    """The number of an item means nothing. Where sessions are padded with 0 and items are numbered from 0, the first
    item is lost; others let the number decide between equal scores. Here all items are numbered backwards, by rows of
    item matrices that change places, or, for models that count, by fitting made-up sessions with both numbers."""
    if scorer.renumbered is None:
        raise CannotCheck("it is not known how items of the model are numbered otherwise")
    model, score = scorer.renumbered()
    last = model.together.shape[1] - 1
    tried = replace(model, histories=[*model.histories, [0], [last], [0, last], [last, 0]])
    backwards = [[last - item for item in history] for history in tried.histories]
    return tried.differing(tried.of(backwards, score)[:, ::-1])


@MODEL.check(
    "M15-gradients", "Every parameter learns", unit="parameters", warn=None, fail=1,
    remedy="look for a layer that is left out, a product with zero, a detached tensor, or item 0 taken as padding",
)  # fmt: skip
def _learning(scorer: Scorer) -> Measured:
    """A parameter without a gradient stays as it was drawn, and the model is not the one that it is called. Of networks
    of this program, one epoch is trained on made-up sessions, and every row of an item matrix counts."""
    if scorer.gradients is None:
        raise CannotCheck("it is not known how the model is trained")
    found = scorer.gradients()
    try:
        idle = [
            name
            for name, gradient in found.items()
            if gradient is None or not np.asarray(gradient, dtype=np.float64).any()
        ]
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        hint = "it must give the gradient of every parameter by its name, as arrays in the computer's memory, or None"
        raise DataError(f"{scorer.name}: gradients() gave something else: {error}", hint) from None
    named = ", ".join(idle[:_NAMED]) + (", …" if len(idle) > _NAMED else "")
    said = f"{len(idle):,} of {len(found):,} parameters and rows of item matrices have no gradient"
    return Measured(len(idle), f"{said}: {named}" if idle else said)


@MODEL.check(
    "M16-future", "What follows a history changes nothing", warn=None, fail=1e-9,
    remedy="mask later clicks in attention, graphs and means over the session, and look for the time of the next click",
)  # fmt: skip
def _future(scorer: Scorer) -> Measured:
    """A model that is given whole sessions may see the click that it is to predict, or its time, as models like HSTU
    do. Here every session goes on with other clicks at other times."""
    if scorer.followed is None:
        raise CannotCheck("the model is given no click after a history")
    followed, futures = scorer.followed, scorer.histories[::-1]
    return scorer.differing(scorer.of(scorer.histories, lambda histories: followed(histories, futures)))
