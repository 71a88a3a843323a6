"""Micro-batches: requests that come while another is computed are answered together, and one alone does not wait."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Reply = TypeVar("Reply")


class Overloaded(Exception):  # noqa: N818 - told to the client, no fault of ours
    """More requests wait than may."""


class Batcher(Generic[Question, Reply]):
    """Hands questions to a function that answers several at a time.

    The function runs on the thread of the event loop. What arrives meanwhile is read when it is done, and is the next
    batch, up to `largest` questions. A thread of its own made answers slower: handing a question over and back woke a
    thread twice, which took longer than most answers.
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
        self._waiting: list[tuple[Question, asyncio.Future[Reply]]] = []

    async def ask(self, question: Question) -> Reply:
        """Return the reply to a question.

        Raises:
            Overloaded: too many questions wait.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append((question, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._reply)  # after all requests that have been read by now
        return await future

    def _reply(self) -> None:
        """Answer a batch."""
        batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._reply)
        self._observed(len(batch))
        try:
            replies = self._answer([question for question, _ in batch])
        except Exception as error:
            replies = [error] * len(batch)
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.done():  # the client has gone
                continue
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)
