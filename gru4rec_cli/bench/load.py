"""Open-loop load on a server: requests are sent at their times, whatever the answers to earlier ones.

Time counts from when a request should have been sent, so that a server that stalls is not asked less meanwhile.
"""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gru4rec_cli.base.arrays import Float64Array

_CONNECTIONS = 32  # opened beforehand; more are opened when all are busy
_PATIENCE = 10.0  # seconds that the last answers may take
_AT_ONCE = 1 << 16  # bytes that are read at a time


@dataclass(frozen=True)
class Answered:
    """Times and errors of the requests of a load, in the order in which they were to be sent."""

    latencies: Float64Array  # (requests,) seconds from when it was to be sent to the end of its answer; inf: none came
    lateness: Float64Array  # (requests,) seconds by which the generator sent it too late
    errors: int  # answers with another status than 200, and none

    def after(self, start: float, times: Float64Array) -> "Answered":
        """Return the part of the requests that were to be sent from `start` on; `times` (requests,) are theirs."""
        kept = times >= start
        return Answered(self.latencies[kept], self.lateness[kept], self.errors)


def arrival_times(rate: float, seconds: float, generator: np.random.Generator) -> Float64Array:
    """Draw the times of a Poisson process: `rate` arrivals a second on average, seconds from the start."""
    gaps = generator.exponential(1 / rate, size=int(rate * seconds * 1.5) + 100)
    times: Float64Array = np.cumsum(gaps)
    return times[times < seconds]


def post(path: str, body: str) -> bytes:
    """Return a request of HTTP/1.1."""
    raw = body.encode()
    return f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw


class _Connection:
    """A connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = -1  # of the request under way; -1: none
        self._received = b""

    def answer(self) -> int:
        """Read what is there; return the status of an answer that is complete, 0 of one that is not.

        Raises:
            OSError: the connection is closed.
        """
        part = self.socket.recv(_AT_ONCE)
        if not part:
            raise ConnectionResetError
        self._received += part
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return 0
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if len(body) < int(lengths[0]):
            return 0
        self._received = b""
        return int(head[9:12])


def send(port: int, requests: Iterator[bytes], times: Sequence[float] | Float64Array) -> Answered:
    """Send a request to 127.0.0.1 at each of the `times` (requests,), ascending seconds from now."""
    n = len(times)
    latencies, lateness = np.full(n, np.inf), np.zeros(n)
    errors = 0
    free = deque(_Connection(port) for _ in range(_CONNECTIONS))
    selector = selectors.DefaultSelector()
    for connection in free:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    start = time.perf_counter() + 0.05

    def receive() -> None:
        nonlocal errors
        done, end = 0, start + float(times[-1]) + _PATIENCE if n else start
        while done < n and time.perf_counter() < end:
            for key, _ in selector.select(0.05):
                connection: _Connection = key.data
                number = connection.number
                try:
                    status = connection.answer()
                except OSError:
                    selector.unregister(connection.socket)
                    if number >= 0:
                        done, errors = done + 1, errors + 1
                    else:
                        free.remove(connection)
                    continue
                if status:
                    connection.number = -1
                    latencies[number] = time.perf_counter() - start - times[number]
                    errors += status != 200
                    done += 1
                    free.append(connection)
        errors += n - done

    receiver = threading.Thread(target=receive)
    receiver.start()
    for number in range(n):
        request = next(requests)
        wait = start + times[number] - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        try:
            connection = free.popleft()
        except IndexError:
            connection = _Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.number = number
        lateness[number] = max(0.0, time.perf_counter() - start - times[number])
        connection.socket.sendall(request)
    receiver.join()
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    return Answered(latencies, lateness, errors)
