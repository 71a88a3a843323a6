"""Warnings: what a user should know although nothing failed.

Each kind has an id, a section in docs/warnings.md, and its sentence in Spanish in reporting/text/languages/es.toml.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

WARNINGS = {  # id → what it says, in one sentence
    "few-validation-events": "The validation part is small: which settings a search finds best is mostly chance.",
    "ids-in-two-forms": "Ids differ only in how they are written: one thing is read as two.",
    "ids-rounded": "Ids are written as rounded numbers, and different ones may have become one.",
    "large-share": "One user has far more of the events than all others.",
    "long-sessions": "A few very long sessions hold most of the pairs of events, and cost most of the time.",
    "many-bad-rows": "A large part of the rows is skipped as bad.",
    "missing-value-as-id": "An id looks like a missing value: what lacks an id is read as one session, user or item.",
    "noisy-machine": "Repeated measurements of speed or memory differ much: other work ran on the machine.",
    "predictions-missing": "Lists of another tool are missing for some test events, which count as misses.",
    "predictions-of-other-events": "Lists of another tool are for events that the test lacks: they are passed over.",
    "predictions-of-unknown-items": "Lists of another tool hold items that the training data does not.",
    "predictions-short": "Lists of another tool are shorter than the largest cutoff: the rest is not known.",
    "refit-without-new-items": "Models are fitted again for use, but the split has dropped items that training lacks.",
    "session-in-train-and-test": "Parts that were given: some session ids occur in more than one of them.",
    "sessions-last-days": "Sessions last for days: their ids may be those of users.",
    "sessions-of-several-users": "Session ids occur with several users, whose clicks are read as one session.",
    "still-improving": "A neural model was still improving in its last epoch: more would probably make it better.",
    "test-ids-in-another-form": "Ids of the test are in training in another form, and are read as different ones.",
    "test-in-train": "Files given as train and test: sessions of the test are also in training, under other ids.",
    "test-not-later": "Files given as train and test are not divided by time.",
    "time-unit": "The times are plausible in another unit than the one as which they were read.",
    "times-far-apart": "A few dates lie far from all others.",
    "times-in-the-future": "Times are in the future.",
    "times-in-two-units": "Some of the times are before 1995, such as seconds among milliseconds, or a missing time.",
    "too-few-permutations": "There are too few permutations for the number of pairs: no difference can be significant.",
    "train-after-test": "Files given as train and test: some training events are at or after the first test event.",
    "train-and-test-exchanged": "Most training events are later than the whole test.",
    "unknown-event-type": "An event type that is to be kept does not occur: is it written as in the file?",
}


class StudyWarning(UserWarning):
    """A warning that a user can act on: the message says what and where, the hint what to do."""

    def __init__(self, id: str, message: str, hint: str = "", model: str = "") -> None:
        """Raises `KeyError` for an id that is not in `WARNINGS`."""
        super().__init__(message)
        self.about = WARNINGS[id]
        self.id, self.message, self.hint, self.model = id, message, hint, model

    def __str__(self) -> str:
        return f"{self.message} [{self.id}]" + (f"; try: {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, str]:
        """Return id, message and hint, as a manifest holds them, and the model of a warning about one."""
        about = {"model": self.model} if self.model else {}
        return {"id": self.id, "message": self.message, "hint": self.hint, **about}


def warn(id: str, message: str, hint: str = "", *, model: str = "") -> None:
    """Issue a `StudyWarning` through Python's own `warnings`; `model` is the name of the model that it is about.

    A stage must issue it every time it runs, also where it takes over finished parts of an earlier try: what follows
    from a part is said from what that part's artifacts hold.
    """
    warnings.warn(StudyWarning(id, message, hint, model), stacklevel=2)


@contextmanager
def collected() -> Iterator[list[StudyWarning]]:
    """Collect the warnings that are issued meanwhile, each once; those of other packages go where they went before."""
    found: list[StudyWarning] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", StudyWarning)
        show = warnings.showwarning

        def collect(message: Warning | str, *where: object, **more: object) -> None:
            if not isinstance(message, StudyWarning):
                show(message, *where, **more)  # type: ignore[arg-type]
            elif message.as_dict() not in [other.as_dict() for other in found]:
                found.append(message)

        warnings.showwarning = collect
        yield found
