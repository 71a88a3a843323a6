"""Micro-batches: requests that come while another is computed are answered together, and one alone does not wait."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Question = TypeVar("Question")
Reply = TypeVar("Reply")
Result = TypeVar("Result")


class Overloaded(Exception):  # noqa: N818 - told to the client, no fault of ours
    """More requests wait than may."""


class Batcher(Generic[Question, Reply]):
    """Hands questions to a function that answers several at a time, on one thread.

    As soon as an answer is there, all questions that came meanwhile are the next batch, up to `largest`.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Reply | Exception]],
        largest: int,
        most_waiting: int,
        observed: Callable[[int], None] = lambda size: None,
    ) -> None:
        """`observed` is told the size of every batch."""
        self._answer = answer
        self._largest = largest
        self._most_waiting = most_waiting
        self._observed = observed
        self._thread = ThreadPoolExecutor(1, "engine")
        self._waiting: list[tuple[Question, asyncio.Future[Reply]]] = []
        self._busy = False

    async def ask(self, question: Question) -> Reply:
        """Return the reply to a question.

        Raises:
            Overloaded: too many questions wait.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if not self._busy:
            self._begin()
        return await future

    async def between(self, function: Callable[[], Result]) -> Result:
        """Return the result of a function that runs on the thread of the batches, between two of them."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """Wait for the batch under way, and end the thread."""
        self._thread.shutdown()

    def _begin(self) -> None:
        batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
        self._busy = True
        self._observed(len(batch))
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._answer, [question for question, _ in batch])
        done.add_done_callback(lambda replies: self._end(batch, replies))

    def _end(
        self, batch: list[tuple[Question, asyncio.Future[Reply]]], done: "asyncio.Future[Sequence[Reply | Exception]]"
    ) -> None:
        error = done.exception()
        replies: Sequence[Reply | Exception] = [error] * len(batch) if isinstance(error, Exception) else done.result()
        self._busy = False
        if self._waiting:
            self._begin()
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.done():  # the client has gone
                continue
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)
