"""The `device` setting: what it names on this machine."""

from contextlib import suppress

import torch

from gru4rec_cli.base.errors import UsageError


def find_device(name: str, where: str = "device") -> torch.device:
    """The device that a setting names; `auto` is the first CUDA device where there is one, else the CPU.

    MPS is used only where it is asked for. Raises `UsageError` where this machine has no such device; `where` names the
    setting in the message.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise _missing(where, name, "this machine has no Apple GPU that torch can use")
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(name.partition(":")[2] or 0)
        if count == 0:
            raise _missing(where, name, f"torch {torch.__version__} finds no CUDA device on this machine")
        if number >= count:
            raise _missing(where, name, f"this machine has {count} CUDA device(s), the last is cuda:{count - 1}")
        return torch.device("cuda", number)
    return torch.device(name)


def ranking_device(name: str) -> torch.device:
    """Return the device that ranks where the setting is `name`: a CUDA device if it is there, else the CPU."""
    if name not in ("cpu", "mps"):
        with suppress(UsageError):
            return find_device(name)
    return torch.device("cpu")


def describe_device(device: torch.device) -> str:
    """A device as the artifacts name it, such as `cpu` or `cuda:0 (NVIDIA A100)`."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _missing(where: str, name: str, why: str) -> UsageError:
    return UsageError(f"{where}: {name} cannot be used: {why}", "set it to auto or cpu, or name a device that is there")
