"""The process in which the author's code runs: `python -m gru4rec_cli.models.official.worker CHECKOUT`.

Jobs come over stdin, answers go over stdout (messages.py). It ends with the process that started it.
"""

import contextlib
import ctypes
import io
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import pandas as pd
import torch

from gru4rec_cli.base.arrays import AnyArray, Float64Array, Int64Array
from gru4rec_cli.base.measuring import peak_memory
from gru4rec_cli.models.official.adapter import AuthorCode, seeded
from gru4rec_cli.models.official.messages import Arrays, Message, receive, send
from gru4rec_cli.models.official.scoring import score_blocks
from gru4rec_cli.models.official.weights import extract, install

_EPOCH = re.compile(r"Epoch(\d+) --> loss: (\S+)")
_REPORT_EVERY = 0.2  # seconds
_LARGEST_CACHE = 10_000_000  # the author's default: negatives drawn ahead
_CPU = torch.device("cpu")


class EnoughSteps(Exception):  # noqa: N818 - it ends a training, it is no error
    """Raised when the requested number of steps has been timed."""


class StepClock:
    """A clock for the first `steps` steps of a training; raises `EnoughSteps` at the end of the last one."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.ends: list[float] = []
        self.events: list[int] = []

    def tick(self, events: int) -> None:
        """Record the end of a step with this number of events."""
        self.ends.append(time.perf_counter())
        self.events.append(events)
        if len(self.ends) == self.steps:
            raise EnoughSteps

    def as_arrays(self) -> tuple[Float64Array, Int64Array]:
        """Return seconds on a clock of this process at the end of each step, and the events of each, both (steps,)."""
        return np.array(self.ends), np.array(self.events, dtype=np.int64)


class Worker:
    """Runs one job after the other."""

    def __init__(self, checkout: Path, answers: IO[bytes]) -> None:
        self.answers = answers
        self.fitting, self.events, self.reported = False, 0, 0.0
        self.clock: StepClock | None = None  # while steps are timed
        self.author = AuthorCode(checkout, self._count)
        self.trained: Any = None  # the author's GRU4Rec, ready to score
        self.jobs: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
            "fit": self.fit,
            "time_steps": self.time_steps,
            "load": self.load,
            "score": self.score,
            "batch_eval": self.batch_eval,
            "open": self.open,
            "save": self.save,
        }

    def serve(self, messages: Iterator[Message]) -> None:
        for header, arrays in messages:
            self.jobs[header["job"]](header, arrays)
            self._answer("done", peak_memory=peak_memory())

    def _answer(self, kind: str, arrays: Arrays | None = None, **values: Any) -> None:
        send(self.answers, {"kind": kind, **values}, arrays)

    def fit(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Train with the author's code. Answers: progress, the loss of every epoch, and the weights."""
        model = self.author.gru.GRU4Rec(**header["parameters"], device=_CPU)
        self.fitting = True
        self._train(model, header, _frame(arrays["items"], arrays["offsets"]), len(arrays["items"]))
        self.fitting = False
        if model.error_during_train:
            self._answer("diverged")
            return
        indices = model.data_iterator.itemidmap.reindex(range(header["n_items"]), fill_value=-1)
        self._answer("weights", extract(model.model, indices.to_numpy().astype(np.int64)))

    def _train(self, model: Any, header: dict[str, Any], frame: pd.DataFrame, store_events: int) -> None:
        """The author's training; as many negatives are drawn ahead as `store_events` events take."""
        threads = torch.get_num_threads()
        torch.set_num_threads(header["threads"])
        try:
            with seeded(header["seed"]), contextlib.redirect_stdout(_Lines(self._line)):
                model.fit(
                    frame,
                    sample_cache_max_size=_cache_size(store_events, header["parameters"]),
                    compatibility_mode=header["compatible"],
                )
        finally:
            torch.set_num_threads(threads)

    def time_steps(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Train for some steps with the author's code. Answers: the time at the end of each."""
        parameters = header["parameters"]
        model = self.author.gru.GRU4Rec(**parameters, device=_CPU)
        self.clock = StepClock(header["steps"])
        with contextlib.suppress(EnoughSteps):
            store_events = header["store_events"] or len(arrays["items"])
            self._train(model, header, _frame(arrays["items"], arrays["offsets"]), store_events)
        ends, events = self.clock.as_arrays()
        self.clock = None
        self._answer("steps", {"ends": ends, "events": events})

    def _count(self, events: int) -> None:
        if self.clock is not None:
            self.clock.tick(events)
            return
        self.events += events
        if self.fitting and time.monotonic() - self.reported >= _REPORT_EVERY:
            self._report_events()

    def _report_events(self) -> None:
        self._answer("events", events=self.events)
        self.events, self.reported = 0, time.monotonic()

    def _line(self, line: str) -> None:
        """Answer with the loss of an epoch where the author's code prints it; other lines go to the log."""
        found = _EPOCH.match(line)
        if found and self.fitting:
            self._report_events()
            self._answer("epoch", epoch=int(found[1]), loss=float(found[2]))
        else:
            print(line, file=sys.stderr)

    def load(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Load weights under our names for the next jobs."""
        model = self.author.gru.GRU4Rec(**header["parameters"], device=_CPU)
        n_items = len(arrays["output_bias"])
        model.model = self.author.gru.GRU4RecModel(
            n_items,
            model.layers,
            model.dropout_p_embed,
            model.dropout_p_hidden,
            model.embedding,
            model.constrained_embedding,
        )
        install(model.model, arrays)
        model.model.eval()
        model.error_during_train = False
        indices = pd.Series(np.arange(n_items, dtype=np.int32), index=np.arange(n_items), name="ItemIdx")
        model.data_iterator = SimpleNamespace(itemidmap=indices)
        self.trained = model

    def score(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Score every event. Answers: the scores, block by block."""
        blocks = score_blocks(self.trained.model, arrays["items"], arrays["offsets"], header["block_rows"])
        for start, scores in blocks:
            self._answer("scores", {"scores": scores}, start=start)

    def batch_eval(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Run the author's own evaluation, with which tests compare our ranks."""
        frame = _frame(arrays["items"], arrays["offsets"])
        with contextlib.redirect_stdout(sys.stderr):
            recall, mrr = self.author.evaluation.batch_eval(
                self.trained, frame, cutoff=header["cutoffs"], mode=header["mode"], batch_size=header["batch_size"]
            )
        self._answer("metrics", recall=[*map(float, recall.values())], mrr=[*map(float, mrr.values())])

    def open(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Unpickle a model that the author's code saved, running the code in it. Answers: parameters, ids, weights."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                model = torch.load(header["path"], map_location=_CPU, weights_only=False)
            if not isinstance(model, self.author.gru.GRU4Rec) or not hasattr(model, "model"):
                self._answer("other", type=f"{type(model).__module__}.{type(model).__qualname__}")
                return
            values, arrays = _content(model, header["names"])
        except Exception as error:  # whatever a damaged pickle leads to
            reason = str(error).partition("\n")[0]
            self._answer("unreadable", reason=f"{type(error).__name__}: {reason}")
            return
        self._answer("model", arrays, **values)

    def save(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Write the loaded weights as the author's code saves a model, with the item ids that it would have read."""
        model = self.trained
        iterator = object.__new__(self.author.gru.SessionDataIterator)
        indices = np.arange(len(header["ids"]), dtype=np.int32)
        iterator.itemidmap = pd.Series(indices, index=header["ids"], name="ItemIdx")
        iterator.n_items, iterator.batch_size, iterator.device = len(indices), model.batch_size, _CPU
        model.data_iterator = iterator
        model.savemodel(header["path"])


def _content(model: Any, names: list[str]) -> Message:
    """The weights of a model of the author's; its parameters, and item ids in the order of the weights' rows.

    Raises:
        ValueError: the items are not numbered as the rows are, or there are values that are no JSON; and others, where
            parts are missing.
    """
    items = model.data_iterator.itemidmap.sort_values()
    n_items = len(model.model.state_dict()["Wy.weight"])
    if items.tolist() != [*range(n_items)]:
        raise ValueError(f"its item ids are not numbered from 0 to {n_items - 1}")
    values = {"parameters": {name: getattr(model, name) for name in names}, "ids": items.index.tolist()}
    json.dumps(values, allow_nan=False)
    return values, extract(model.model, np.arange(n_items))


def _frame(items: AnyArray, offsets: Int64Array) -> pd.DataFrame:
    """Events as the author's code reads them, in our order: sessions numbered as they are visited, rows as times.

    Sessions with equal start times are therefore in our order, whatever sort his libraries use, and session numbers
    fit int32. His code numbers items by first appearance, which is our order too; `reindex` above does not rely on it.
    """
    sessions = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return pd.DataFrame({"SessionId": sessions, "ItemId": items.astype(np.int64), "Time": np.arange(len(items))})


def _cache_size(n_events: int, parameters: dict[str, Any]) -> int:
    """How many negatives to draw ahead: an epoch's worth, at most the author's ten million; the draws are the same."""
    steps = n_events // parameters["batch_size"] + 1
    return int(max(1, parameters["n_sample"], min(_LARGEST_CACHE, steps * parameters["n_sample"])))


class _Lines(io.TextIOBase):
    """Passes printed text on, line by line."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self.take = take
        self.rest = ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.take(line)
        return len(text)


def _messages(stream: IO[bytes]) -> Iterator[Message]:
    """Jobs from stdin. A thread reads them, so that the end of stdin ends this process whatever it is doing."""
    waiting: queue.Queue[Message] = queue.Queue()

    def read() -> None:
        while (message := receive(stream)) is not None:
            waiting.put(message)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent, or the parent's thread that started it, dies.

    Linux only; elsewhere the end of stdin has to do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _end_with(int(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # other prints must not get between the answers
    jobs = _messages(sys.stdin.buffer)
    Worker(Path(sys.argv[1]), answers).serve(jobs)


if __name__ == "__main__":
    main()
