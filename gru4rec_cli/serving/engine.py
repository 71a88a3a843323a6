"""Answers requests with a fitted model: several at a time, with the states of sessions kept warm.

All of this runs on the thread of the event loop. A warm session's scores are those of a replay of its clicks, and those
that `evaluate` ranks, bit for bit: the same code computes them, and a row of its products does not depend on the rows
beside it.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Int32Array
from gru4rec_cli.data.sessions import UNSEEN, Vocabulary, sessions_to_continue
from gru4rec_cli.evaluation.ranking import tiles
from gru4rec_cli.evaluation.recommending import ALL_ITEMS, Choice, best_of, rows_of
from gru4rec_cli.evaluation.scores import Block
from gru4rec_cli.models.base import Incremental
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.serving.sessions import Item, SessionStore

_NUMBER = re.compile("0|-?[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Served:
    """A model that answers, and its version: a hash of what it was loaded from."""

    fitted: FittedModel
    version: str


@dataclass(frozen=True)
class Request:
    """A wish for recommendations after some clicks, the last of which is added to a session if one is named."""

    items: tuple[Item, ...]  # at least one; with a session exactly one
    k: int
    session: str | None = None
    exclude_seen: bool = False
    exclude: tuple[Item, ...] = ()
    candidates: tuple[Item, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """The best items, best first, with their scores."""

    items: list[Item]
    scores: list[float]
    unknown: list[Item]  # those of the clicks that came with the request which the model does not know
    clicks: int  # of the session or history
    version: str


class TooLong(Exception):  # noqa: N818 - told to the client, no fault of ours
    """A session has as many clicks as one may have."""


class States:
    """The states of sessions by id, the one used last at the end; with more than `most`, the first goes."""

    def __init__(self, most: int, size: int) -> None:
        self.most = most
        self.evicted = 0
        self._rows = np.zeros((most, size), dtype=np.float32)  # the system gives the memory of a row when it is written
        self._places: OrderedDict[str, int] = OrderedDict()
        self._free: list[int] = []  # places that were used before

    def __len__(self) -> int:
        return len(self._places)

    def get(self, session: str | None) -> Float32Array | None:
        """Return the state of a session, (size,), if it is kept."""
        place = self._places.get(session) if session is not None else None
        return None if place is None else self._rows[place]

    def keep(self, session: str, state: Float32Array) -> None:
        """Keep the state of a session, (size,)."""
        place = self._places.get(session)
        if place is None:
            if len(self._places) == self.most:
                self.evicted += 1
                self._free.append(self._places.popitem(last=False)[1])
            place = self._free.pop() if self._free else len(self._places)
            self._places[session] = place
        self._places.move_to_end(session)
        self._rows[place] = state

    def forget(self, session: str) -> None:
        """Forget the state of a session, if it is kept."""
        place = self._places.pop(session, None)
        if place is not None:
            self._free.append(place)


class Engine:
    """Answers requests, and keeps the sessions that they belong to."""

    def __init__(self, served: Served, sessions: SessionStore, max_states: int, max_clicks: int) -> None:
        """`max_states` states are kept warm, and a session or history may have `max_clicks` clicks."""
        self.sessions = sessions
        self.max_states = max_states
        self.max_clicks = max_clicks
        sessions.forgotten = lambda session: self.states.forget(session)
        self.use(served)

    def use(self, served: Served) -> None:
        """Answer with another model from now on; states are made anew from the clicks of their sessions."""
        self.served = served
        model = served.fitted.model
        self._incremental = model if isinstance(model, Incremental) else None
        self._vocabulary = Vocabulary.of(np.arange(len(served.fitted.ids)))
        self.states = States(self.max_states, self.state_size)

    @property
    def state_size(self) -> int:
        """Number of floats that are kept of a session; 0: the model has no states, and clicks are read anew."""
        return self._incremental.state_size if self._incremental is not None else 0

    def answer(self, requests: Sequence[Request]) -> list[Answer | Exception]:
        """Return the answer to every request, in their order. Requests of one session take effect in their order."""
        answers: dict[int, Answer | Exception] = {}
        left = list(enumerate(requests))
        while left:
            seen: set[str] = set()
            now, later = [], []
            for number, request in left:
                if request.session in seen:
                    later.append((number, request))
                    continue
                now.append((number, request))
                if request.session is not None:
                    seen.add(request.session)
            for (number, _), answer in zip(now, self._answer([request for _, request in now]), strict=True):
                answers[number] = answer
            left = later
        self.sessions.write()
        return [answers[number] for number in range(len(requests))]

    def _answer(self, requests: Sequence[Request]) -> list[Answer | Exception]:
        """Return the answers to requests of different sessions. Nothing is kept before all of them are there."""
        answers: list[Answer | Exception] = [TooLong()] * len(requests)
        histories = [self._history(request) for request in requests]
        fit = [number for number, history in enumerate(histories) if len(history) <= self.max_clicks]
        if not fit:
            return answers
        chosen = _Batch.of([requests[n] for n in fit], [histories[n] for n in fit], self.index)
        states = self._states_of(chosen) if self._incremental is not None else None
        found = list(self._recommend(chosen, states))
        for place, number in enumerate(fit):
            answers[number] = found[place]
            session = requests[number].session
            if session is not None:
                if states is not None:
                    self.states.keep(session, states[place])
                self.sessions.keep(session, histories[number])
        return answers

    def _history(self, request: Request) -> list[Item]:
        clicks = [self._known_as(item) for item in request.items]
        kept = self.sessions.get(request.session) if request.session is not None else None
        return kept.clicks + clicks if kept else clicks

    def _known_as(self, item: Item) -> Item:
        """Return an item id as the model has it, so that one text is kept for all clicks on it."""
        index = self.index(item)
        return item if index == UNSEEN else self._ids[index]

    @property
    def _ids(self) -> list[Item]:
        return self.served.fitted.id_list

    def index(self, item: Item) -> int:
        """Return the index of an item id, or UNSEEN. Where ids are numbers, the text 7 is the item 7, but 07 is not."""
        fitted = self.served.fitted
        found = fitted.index(item)
        if found == UNSEEN and isinstance(item, str) and fitted.ids.dtype != object and _NUMBER.fullmatch(item):
            found = fitted.index(int(item))
        return found

    def _states_of(self, batch: "_Batch") -> Float32Array:
        """Return the state after every history, (requests, state_size), from the warm ones and the clicks since."""
        assert self._incremental is not None
        states = np.zeros((len(batch.requests), self._incremental.state_size), dtype=np.float32)
        left = np.array([len(history) for history in batch.indices])  # clicks that a state has not seen
        for number, request in enumerate(batch.requests):
            state = self.states.get(request.session)
            if state is not None:
                states[number], left[number] = state, 1
        while (left > 0).any():
            active = np.flatnonzero(left > 0)
            clicks: Int32Array = np.array([batch.indices[n][-left[n]] for n in active], dtype=np.int32)
            states[active] = self._incremental.advance(states[active], clicks)
            left[active] -= 1
        return states

    def _recommend(self, batch: "_Batch", states: Float32Array | None) -> Iterator[Answer]:
        """Yield the answers, by one product for all of them."""
        lengths = np.array([len(history) for history in batch.indices])
        clicks = np.array([*chain(*batch.indices)], dtype=np.int32)
        last = np.cumsum(lengths) - 1  # (requests,) rows of `clicks`
        if self._incremental is not None and states is not None:
            blocks: Iterator[Block] = iter([self._incremental.score_states(states)])
        else:
            blocks = self.served.fitted.model.score(sessions_to_continue(clicks, lengths, self._vocabulary))
        choices = [self._choice(request) for request in batch.requests]
        for tile in tiles(blocks):
            for _, same in groupby(range(tile.start, tile.start + len(tile)), key=lambda n: id(choices[n])):
                numbers = list(same)
                events = slice(numbers[0], numbers[-1] + 1)
                part = rows_of(tile, slice(events.start - tile.start, events.stop - tile.start))
                k = max(batch.requests[n].k for n in numbers)
                choice = choices[numbers[0]]
                best = best_of(part, clicks, last[events], lengths[events], k, choice)
                for n, items, scores in zip(numbers, best.items, best.scores, strict=True):
                    yield self._answer_to(batch, n, items[items >= 0], scores)

    def _answer_to(self, batch: "_Batch", number: int, items: Int32Array, scores: Float32Array) -> Answer:
        request = batch.requests[number]
        listed = items[: request.k].tolist()
        given = zip(request.items, batch.indices[number][-len(request.items) :], strict=True)
        return Answer(
            [self._ids[item] for item in listed],
            scores[: len(listed)].tolist(),
            [item for item, index in given if index == UNSEEN],
            len(batch.indices[number]),
            self.served.version,
        )

    def _choice(self, request: Request) -> Choice:
        """Return which items may be recommended; the same object for all requests that name none."""
        if request.candidates is None and not request.exclude:
            return _NOT_SEEN if request.exclude_seen else ALL_ITEMS
        candidates = None if request.candidates is None else [self._known_as(item) for item in request.candidates]
        exclude = [self._known_as(item) for item in request.exclude]
        return self.served.fitted.choice(candidates, exclude, exclude_seen=request.exclude_seen)


_NOT_SEEN = Choice(seen=False)


@dataclass(frozen=True)
class _Batch:
    """Requests that are answered together, with their histories: the clicks of the session, if any, and theirs."""

    requests: Sequence[Request]
    indices: list[list[int]]  # item indices of every history

    @classmethod
    def of(cls, requests: Sequence[Request], histories: Sequence[list[Item]], index: Callable[[Item], int]) -> "_Batch":
        return cls(requests, [[index(click) for click in history] for history in histories])
