"""The author's GRU4Rec as a recommender: his code trains and scores, in a process of its own."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from gru4rec_cli.base.arrays import AnyArray, Float32Array, Float64Array, Int64Array
from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.progress import SILENT, Progress, Task
from gru4rec_cli.base.threads import training_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import ScoreBlock, block_ranges
from gru4rec_cli.models.base import (
    FitContext,
    FitReport,
    check_training,
    check_vocabulary,
    load_arrays,
    recommend_by_score,
    save_arrays,
)
from gru4rec_cli.models.neural.divergence import advice_on
from gru4rec_cli.models.official.fetching import read_pin
from gru4rec_cli.models.official.messages import Arrays, Message
from gru4rec_cli.models.official.process import WorkerProcess
from gru4rec_cli.models.official.settings import Settings

_WEIGHTS = "weights.safetensors"
_MANY = 2**31  # more events than any block


class Model:
    """GRU4Rec by its author, at the pinned commit. Weights have our names, items are in our order."""

    description: ClassVar[str] = "GRU4Rec, the author's own PyTorch code, unchanged, on the same data and ranking."
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.weights: dict[str, AnyArray] = {}
        self._worker: WorkerProcess | None = None
        self._loaded: WorkerProcess | None = None  # the worker that has the weights

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        """Train from the start: the author's code cannot continue an interrupted training.

        Raises `CheckError` where the loss is no longer a number, `ExternalError` where the author's code fails.
        """
        check_training(train)
        answers = self._running().ask(
            "fit",
            _events(train),
            parameters=self.settings.author_parameters(),
            compatible=self.settings.compatible,
            n_items=train.n_items,
            seed=context.seed,
            threads=training_threads(),
        )
        curve = self._follow(answers, context.progress, train.n_targets)
        facts = {
            "parameters": sum(value.size for value in self.weights.values()),
            "commit": read_pin().commit,
            "initial_weights": "numpy" if self.settings.compatible else "torch",
        }
        return FitReport(curve, facts)

    def time_steps(
        self, train: Sessions, steps: int, *, seed: int, threads: int, store_events: int = 0
    ) -> tuple[Float64Array, Int64Array]:
        """Train the first `steps` steps, or fewer where training is shorter, and discard the weights.

        Returns the time at the end of each step, in seconds on a clock of the worker, and the number of its events.

        His negatives are drawn before the first step: as many as `store_events` events need; 0: an epoch's.
        """
        ((_, arrays),) = self._running().ask(
            "time_steps",
            _events(train),
            parameters=self.settings.author_parameters(),
            compatible=self.settings.compatible,
            seed=seed,
            threads=threads,
            steps=steps,
            store_events=store_events,
        )
        return arrays["ends"], arrays["events"]

    def _follow(self, answers: Iterator[Message], progress: Progress, n_events: int) -> list[dict[str, float]]:
        """Show the worker's progress and store the weights. Returns the loss of every epoch."""
        curve: list[dict[str, float]] = []
        with ExitStack() as shown:
            task = self._epoch_task(shown, progress, 1, n_events)
            for header, arrays in answers:
                if header["kind"] == "events":
                    task.advance(header["events"], **({"loss": f"{curve[-1]['loss']:.4f}"} if curve else {}))
                elif header["kind"] == "epoch":
                    curve.append({"epoch": header["epoch"], "loss": header["loss"]})
                    progress.note(f"{self._epoch_name(len(curve))}: loss {header['loss']:.4f}")
                    task = self._epoch_task(shown, progress, len(curve) + 1, n_events)
                elif header["kind"] == "weights":
                    self.weights, self._loaded = arrays, None
                elif header["kind"] == "diverged":
                    raise CheckError(
                        "the author's code stopped: the loss is not a number, or there was nothing to learn from",
                        advice_on(self.settings) if self.settings.n_sample else "set n_sample above 0",
                    )
        return curve

    def _epoch_task(self, shown: ExitStack, progress: Progress, number: int, n_events: int) -> Task:
        shown.close()
        if number > self.settings.epochs:
            return shown.enter_context(SILENT.task(""))
        task = shown.enter_context(progress.task(self._epoch_name(number), total=n_events, unit="events"))
        task.leave_no_line()
        return task

    def _epoch_name(self, number: int) -> str:
        return f"epoch {number}/{self.settings.epochs}, the author's code"

    def _running(self) -> WorkerProcess:
        if self._worker is None or not self._worker.running:
            self._worker = WorkerProcess()
        return self._worker

    def _scoring(self) -> WorkerProcess:
        worker = self._running()
        if self._loaded is not worker:
            for _ in worker.ask("load", self.weights, parameters=self.settings.author_parameters()):
                pass
            self._loaded = worker
        return worker

    def score(self, sessions: Sessions) -> Iterator[ScoreBlock]:
        check_vocabulary(sessions, len(self.weights["output_bias"]))
        if sessions.n_targets == 0:
            return
        _, rows = next(block_ranges(_MANY, sessions.n_items))
        # The worker numbers all clicks but the last of each session; of some sessions only the last event is asked for.
        asked, done = sessions.input_rows() - sessions.event_sessions(), 0
        for header, arrays in self._scoring().ask("score", _events(sessions), block_rows=rows):
            first, scores = header["start"], arrays["scores"]
            chosen = asked[np.searchsorted(asked, first) : np.searchsorted(asked, first + len(scores))] - first
            if len(chosen):
                yield ScoreBlock(done, scores if len(chosen) == len(scores) else scores[chosen])
            done += len(chosen)

    def batch_eval(
        self, sessions: Sessions, cutoffs: Sequence[int], mode: str, batch_size: int = 512
    ) -> tuple[list[float], list[float]]:
        """Return Recall and MRR at every cutoff by the author's own evaluation; `mode` is standard or conservative."""
        asked = {"cutoffs": list(cutoffs), "mode": mode, "batch_size": batch_size}
        ((header, _),) = self._scoring().ask("batch_eval", _events(sessions), **asked)
        return header["recall"], header["mrr"]

    def recommend(self, history: Sequence[int], k: int) -> tuple[Int64Array, Float32Array]:
        return recommend_by_score(self, history, k, len(self.weights["output_bias"]))

    def save(self, folder: Path) -> None:
        save_arrays(folder / _WEIGHTS, self.weights)

    @classmethod
    def load(cls, folder: Path, settings: Settings) -> Self:
        from gru4rec_cli.models.gru4rec.network import check_parameters  # loads torch

        model = cls(settings)
        model.weights = load_arrays(folder / _WEIGHTS)
        check_parameters(model.weights, settings)
        return model


def _events(sessions: Sessions) -> Arrays:
    return {"items": sessions.items, "offsets": sessions.offsets}
