"""Checks of a training and a test part, and a validation part where there is one."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec_cli.audit.check import Audit, CannotCheck, Checks, Choice, Measured, ratio
from gru4rec_cli.audit.known import name_of_split
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TEST_FILE, TIME, TRAIN_FILE, VALID_FILE
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.engine import Codes, encode, in_order
from gru4rec_cli.data.frames import read_table
from gru4rec_cli.data.leaks import BY_TIME, find_leaks
from gru4rec_cli.data.times import TimeUnit, iso
from gru4rec_cli.study.describing import Options, read_input

SPLIT: Checks["Parts"] = Checks()

_FEWEST = 50  # observations below which a share says nothing
_LARGEST_FILTER = 20  # events; papers drop items with fewer than 5 or 10
_NEXT = "next"


@dataclass(frozen=True)
class Parts:
    """The parts of a split: SESSION, ITEM, TIME (microseconds) by session and time.

    Ids are of one type in all parts, or codes for them: `sessions` then says for which sessions these stand.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    valid: pl.DataFrame | None = None
    timed: bool = True  # times are times, not row numbers
    sessions: Codes | None = None

    @classmethod
    def of(cls, logs: list[pl.DataFrame], *, timed: bool = True) -> "Parts":
        """Return the parts whose events are these: training, test, and perhaps validation. The list is emptied."""
        _make_alike(logs)
        codes = encode(logs)
        train, test, *valid = [in_order(logs.pop(0)).select(SESSION, ITEM, TIME) for _ in range(len(logs))]
        return cls(train, test, valid[0] if valid else None, timed, codes[SESSION])

    def name(self, session: Any) -> Any:
        """Return the id of a session, for evidence."""
        return session if self.sessions is None else self.sessions.decoded(pl.Series([session], dtype=pl.UInt32))[0]

    @cached_property
    def leaks(self) -> dict[str, Any]:
        """Return what training knows of the test; see `find_leaks`."""
        return find_leaks(self.train, self.test, timed=self.timed, name=self.name)

    @cached_property
    def targets(self) -> pl.DataFrame:
        """Every event of the test to be predicted: ITEM, the item before it, and if it was in its session before."""
        before = pl.col(ITEM).shift(1).over(SESSION).alias("before")
        again = (pl.col(ITEM).cum_count().over(SESSION, ITEM) > 1).alias("again")
        place = pl.int_range(pl.len()).over(SESSION).alias("place")
        return self.test.select(ITEM, before, again, place).filter(pl.col("place") > 0)

    @cached_property
    def supports(self) -> pl.DataFrame:
        """Events of every item: in `train`, and in all parts."""
        parts = [self.train, self.test, *([self.valid] if self.valid is not None else [])]
        everywhere = pl.concat([part.select(ITEM) for part in parts]).group_by(ITEM).len("all")
        return everywhere.join(self.train.group_by(ITEM).len("train"), on=ITEM, how="left").fill_null(0)

    def known_name(self) -> str:
        """Return which published split it is; validation was taken from training."""
        return name_of_split(pl.concat([self.train, *([self.valid] if self.valid is not None else [])]), self.test)

    def require_times(self) -> None:
        """Raise `CannotCheck` where the times are row numbers."""
        if not self.timed:
            raise CannotCheck("the files have no times")


def read_parts(
    train: Path, test: Path, valid: Path | None = None, options: Options | None = None, progress: Progress = SILENT
) -> Parts:
    """Read the files of a split as `split` reads given parts; their ids are no codes.

    Raises:
        UsageError: options contradict each other.
        DataError: a file cannot be read.
    """
    paths = [train, test, *([valid] if valid is not None else [])]
    logs, timed = _read(paths, options, progress)
    _make_alike(logs)
    first, second, *others = (in_order(log).select(SESSION, ITEM, TIME) for log in logs)
    return Parts(first, second, others[0] if others else None, timed=timed)


def _read(paths: list[Path], options: Options | None, progress: Progress) -> tuple[list[pl.DataFrame], bool]:
    """Read the files of a split, and return whether their times are times."""
    logs = [read_input(path, None, options or Options(), progress) for path in paths]
    return [log.events for log in logs], all(log.unit is not None or not log.reading for log in logs)


def _make_alike(logs: list[pl.DataFrame]) -> None:
    """Make text of ids in all logs of a list where they are text in one of them."""
    mixed = [name for name in (SESSION, ITEM) if len({log.schema[name] for log in logs}) > 1]
    logs[:] = [log.with_columns(pl.col(mixed).cast(pl.String)) for log in logs]


def audit_split(
    paths: list[Path],
    options: Options | None = None,
    choice: Choice | None = None,
    progress: Progress = SILENT,
) -> Audit:
    """Return the results on training, test and perhaps validation: two or three files, or a folder that `split` wrote.

    Raises:
        UsageError: it is another number of files, options contradict each other, or an id is that of no check.
        DataError: a file cannot be read.
    """
    files = _files_of(paths[0]) if len(paths) == 1 else paths
    if not 2 <= len(files) <= 3:
        raise UsageError(
            f"{len(files)} files: a split has two or three",
            "give TRAIN TEST, TRAIN TEST VALID, or a run directory",
        )
    logs, timed = _read(files, options, progress)
    parts = Parts.of(logs, timed=timed)
    results = SPLIT.run(parts, choice or Choice(), progress)
    return Audit(" and ".join(map(str, paths)), results, {"known split": parts.known_name()})


def audit_tables(
    train: Any,
    test: Any,
    valid: Any = None,
    *,
    session: str = "SessionId",
    item: str = "ItemId",
    time: str = "Time",
    time_unit: TimeUnit = "seconds",
) -> Audit:
    """Return the results on parts that are tables of pandas, Polars or PyArrow; columns as for `data.frames.clean`."""
    columns = {SESSION: session, ITEM: item, TIME: time}
    logs = [read_table(table, columns, time_unit)[0] for table in (train, test, valid) if table is not None]
    parts = Parts.of(logs)
    return Audit("the tables", SPLIT.run(parts, Choice()), {"known split": parts.known_name()})


def _files_of(folder: Path) -> list[Path]:
    """Return the parts in a run directory or in the folder of its split."""
    for place in (folder, folder / "split"):
        files = [place / name for name in (TRAIN_FILE, TEST_FILE, VALID_FILE)]
        if files[0].exists() and files[1].exists():
            return [path for path in files if path.exists()]
    if folder.is_file():
        raise UsageError(f"{folder} is one file: a split has two or three", "give TRAIN TEST, or TRAIN TEST VALID")
    raise UsageError(
        f"{folder} holds no split: there is no {TRAIN_FILE} and {TEST_FILE} in it",
        "give TRAIN TEST, or a run directory",
    )


@SPLIT.check(
    "S01-training-after-test", "No training event is at or after the first test event", warn=1e-9, fail=0.05,
    remedy="cut training at the first test event, or let split divide the whole log",
)  # fmt: skip
def _late(parts: Parts) -> Measured:
    """Training then knows what became popular, and how the same visitors went on, while the test was made. No model in
    use knows this. Many benchmarks that leave out the last item of every user have it."""
    parts.require_times()
    late, events = parts.leaks["late_events"], parts.leaks["train_events"]
    first = parts.leaks["first_test_event"]
    said = f"{late:,} of {events:,} training events are at or after the first test event ({first})"
    return Measured(ratio(late, events), said)


@SPLIT.check(
    "S02-not-by-time", "The test is later than training as a whole", warn=1 - BY_TIME, fail=0.25,
    remedy="divide by time: the last days, or the last share of the sessions",
)  # fmt: skip
def _by_time(parts: Parts) -> Measured:
    """The figure is the share of pairs of a training and a test session in which the training session starts later: 0
    for a division by time, one half for a random one, 1 where the files are exchanged."""
    parts.require_times()
    earlier = 1 - parts.leaks["later"]
    return Measured(
        earlier, f"a training session starts later than a test session in {100 * earlier:.1f} % of all pairs"
    )


@SPLIT.check(
    "S03-shared-session-ids", "No session is in training and test", warn=None, fail=1e-9,
    remedy="divide whole sessions, and give every session an id of its own",
)  # fmt: skip
def _shared_ids(parts: Parts) -> Measured:
    """A session that was cut in two shows training the beginning of what the test asks for."""
    shared = parts.test.select(SESSION).unique().join(parts.train.select(SESSION).unique(), on=SESSION, how="semi")
    sessions = parts.test[SESSION].n_unique()
    example = f", such as {parts.name(shared[SESSION].min())!r}" if shared.height else ""
    return Measured.share(shared.height, sessions, f"test sessions have an id of training{example}")


@SPLIT.check(
    "S04-copied-sessions", "Test sessions are not copies of training sessions", unit="times chance", warn=2, fail=5,
    remedy="remove these sessions from training",
)  # fmt: skip
def _copies(parts: Parts) -> Measured:
    """Models that remember training sessions find the answer in a copy. A copy has the same items at the same times
    (two clicks or more), or the same items in order (five clicks or more). The figure is how many there are, compared
    with how many there would be if test sessions had twins in training as often as training sessions have among
    themselves."""
    worst = Measured(0, "no test session is a copy")
    for kind, found in parts.leaks["copies"].items():
        surplus = found["sessions"] - 3 * math.sqrt(found["expected"] + 1)
        times = max(surplus, 0) / found["expected"] if found["sessions"] else 0.0
        example = f", such as {found['example'][0]!r} and {found['example'][1]!r}" if found["example"] else ""
        share = f"{found['sessions']:,} of {found['of']:,}"
        expected = f"{found['expected']:.1f} are expected"
        said = f"{share} test sessions have the same {kind} as one of training{example}; {expected}"
        worst = max(worst, Measured(times, said), key=lambda measured: measured.figure)
    return worst


@SPLIT.check(
    "S05-copied-prefixes", "Training does not hold test sessions without their end", warn=0.3, fail=0.7,
    remedy="divide first, and make prefixes of sessions afterwards",
)  # fmt: skip
def _prefixes(parts: Parts) -> Measured:
    """Where prefixes were made before the division, a test session and its own beginning are on different sides. The
    share is that of test sessions of five clicks or more whose first clicks, all but the last, are a training
    session."""
    known = _sequences(parts.train, 4, 0)
    asked = _sequences(parts.test, 5, 1)
    if asked.height < _FEWEST:
        raise CannotCheck(f"fewer than {_FEWEST} test sessions have five clicks")
    found = asked.join(known, on=ITEM, how="semi").height
    return Measured(
        ratio(found, asked.height),
        f"the beginning of {found:,} of {asked.height:,} test sessions of five clicks or more is a training session",
    )


def _sequences(events: pl.DataFrame, shortest: int, without: int) -> pl.DataFrame:
    """The hash of the items of every session of at least `shortest` clicks, the last `without` left out."""
    place, length = pl.int_range(pl.len()).over(SESSION), pl.len().over(SESSION)
    kept = events.filter((length >= shortest) & (place < length - without))
    keyed = kept.select(SESSION, pl.struct(pl.int_range(pl.len()).over(SESSION), ITEM).hash().alias(ITEM))
    return keyed.group_by(SESSION).agg(pl.col(ITEM).sum())


@SPLIT.check(
    "S06-unknown-items", "Training knows the items of the test", warn=0.05, fail=0.3,
    remedy="say what becomes of such events (split.unseen), or make the ids of both files alike",
)  # fmt: skip
def _unknown(parts: Parts) -> Measured:
    """No model here can rank an item that training lacks. Published scripts drop such test events in silence, which
    changes the test. Many of them are often ids in another form, or the wrong pair of files."""
    lacking = parts.test.join(parts.train.select(ITEM).unique(), on=ITEM, how="anti")
    items = lacking[ITEM].n_unique()
    return Measured.share(lacking.height, parts.test.height, f"test events are on {items:,} items that training lacks")


@SPLIT.check(
    "S07-validation-after-test", "Validation is earlier than the test", warn=1e-9, fail=0.05,
    remedy="take the last sessions of training as validation",
)  # fmt: skip
def _validation(parts: Parts) -> Measured:
    """An epoch or a setting that is chosen on validation events of the test's time is chosen with the future, or with
    the test itself."""
    if parts.valid is None:
        raise CannotCheck("there is no validation part")
    parts.require_times()
    first = int(parts.test[TIME].min())  # type: ignore[arg-type]
    late = int((parts.valid[TIME] >= first).sum())
    return Measured.share(
        late, parts.valid.height, f"validation events are at or after the first test event ({iso(first)})"
    )


@SPLIT.check(
    "S08-validation-in-test", "Validation and test share no session", warn=None, fail=1e-9,
    remedy="take validation sessions from training",
)  # fmt: skip
def _validation_in_test(parts: Parts) -> Measured:
    """SR-GNN's program and its followers keep the epoch that is best on the test. A validation part with sessions of
    the test does the same."""
    if parts.valid is None:
        raise CannotCheck("there is no validation part")
    keys = [SESSION, ITEM, TIME] if parts.timed else [SESSION, ITEM]
    shared = parts.valid.join(parts.test.select(keys).unique(), on=keys, how="semi")
    return Measured.share(shared.height, parts.valid.height, "validation events are events of the test")


@SPLIT.check(
    "S09-same-events", "Training and test have no event in common", warn=0.01, fail=0.1,
    remedy="remove these events from one of the parts",
)  # fmt: skip
def _same_events(parts: Parts) -> Measured:
    """The same item at the same microsecond on both sides is mostly one event under two sessions: rows that were
    written twice, or sessions that were renamed. With times in whole seconds, some coincide by chance."""
    parts.require_times()
    both = parts.test.join(parts.train.select(ITEM, TIME).unique(), on=[ITEM, TIME], how="semi").height
    return Measured.share(both, parts.test.height, "test events have the item and time of a training event")


@SPLIT.check(
    "S10-bigrams", "The most frequent follower in training is seldom the answer", warn=0.4, fail=0.7,
    remedy="look for copies of the test in training, or for a log that a program made",
)  # fmt: skip
def _bigrams(parts: Parts) -> Measured:
    """The share of test targets that are the most frequent follower, in training, of the click before them: Recall@1
    of the simplest model. Near 1, a more elaborate model has nothing to show."""
    if parts.targets.height < _FEWEST:
        raise CannotCheck(f"fewer than {_FEWEST} events are to be predicted")
    follower = pl.col(ITEM).shift(-1).over(SESSION).alias(_NEXT)
    pairs = parts.train.select(pl.col(ITEM).alias("before"), follower).drop_nulls().group_by("before", _NEXT).len()
    first = pairs.sort("len", _NEXT, descending=[True, False]).group_by("before").agg(pl.col(_NEXT).first())
    right = parts.targets.join(first, on="before").filter(pl.col(_NEXT) == pl.col(ITEM)).height
    return Measured.share(
        right, parts.targets.height, "test targets are the most frequent follower of the click before"
    )


@SPLIT.check(
    "S11-repeated-targets", "Few test targets were in their session before", warn=0.4, fail=0.8,
    remedy="say whether repeats are recommended; split.drop_repeats: true drops immediate ones",
)  # fmt: skip
def _repeated(parts: Parts) -> Measured:
    """Where most targets are repeats, recommending the session's own items wins (S-POP in published tables), and a
    model that may not repeat is not comparable with one that may."""
    if parts.targets.height < _FEWEST:
        raise CannotCheck(f"fewer than {_FEWEST} events are to be predicted")
    again = int(parts.targets["again"].sum())
    return Measured.share(again, parts.targets.height, "test targets were clicked before in their session")


@SPLIT.check(
    "S12-support-filter-with-test", "Rare items were removed by their events in training alone", warn=0.002, fail=None,
    remedy="filter by support after dividing, or say that the filter used the test",
)  # fmt: skip
def _support(parts: Parts) -> Measured:
    """If items were filtered by their events in training and test together, items stay that are rare in training, since
    the test was known. Then every item has a least number of events in all parts, but fewer in training. The share is
    that of items at the least number, or up to twice it, that training alone would have lost. Most published
    preprocessing filters before it divides."""
    least = int(parts.supports["all"].min())  # type: ignore[arg-type]
    if not 2 <= least <= _LARGEST_FILTER:
        return Measured(0, f"the rarest item has {least:,} events in all parts together: no filter left it")
    lost = parts.supports.filter((pl.col("train") < least) & (pl.col("train") > 0)).height
    return Measured(
        ratio(lost, parts.supports.height),
        f"every item has {least} events or more in all parts together; {lost:,} of {parts.supports.height:,} "
        f"have fewer in training",
    )


@SPLIT.check(
    "S13-sessions-of-one-event", "Every test session has an event to predict", warn=0.01, fail=0.5,
    remedy="drop sessions of one event, after unknown items were dropped",
)  # fmt: skip
def _single(parts: Parts) -> Measured:
    """A session of one event is not tested. Programs that count sessions, and not events, divide by it all the same."""
    lengths = parts.test.group_by(SESSION).len()["len"]
    single = int((lengths < 2).sum())
    return Measured.share(single, len(lengths), "test sessions have one event")
