"""Messages over the pipes to and from the worker: a line of JSON, then the bytes of the arrays that it names."""

import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from gru4rec_cli.base.arrays import AnyArray

Arrays = Mapping[str, AnyArray]
Message = tuple[dict[str, Any], dict[str, AnyArray]]


def send(stream: IO[bytes], header: Mapping[str, Any], arrays: Arrays | None = None) -> None:
    """Write one message. Arrays are plain numbers; nothing is pickled."""
    flat = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    described = [[name, array.dtype.str, array.shape] for name, array in flat.items()]
    stream.write(json.dumps({**header, "arrays": described}).encode() + b"\n")
    for array in flat.values():
        if array.size:
            stream.write(_bytes(array))
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Read the next message; None where the other side has closed the pipe."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header = json.loads(line)
    arrays: dict[str, AnyArray] = {}
    for name, kind, shape in header.pop("arrays"):
        array = np.empty(shape, dtype=np.dtype(kind))
        if array.size and not _fill(stream, _bytes(array)):
            return None
        arrays[name] = array
    return header, arrays


def _bytes(array: AnyArray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _fill(stream: IO[bytes], view: memoryview) -> bool:
    done = 0
    while done < len(view):
        part = stream.read(min(len(view) - done, 2**20))
        if not part:
            return False
        view[done : done + len(part)] = part
        done += len(part)
    return True
