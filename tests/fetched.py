"""Tests that need the author's code say so where it has not been fetched."""

import pytest

from gru4rec_cli.models.official.fetching import read_pin, vendor_folder

REASON = "official: not fetched, run gru4rec-study fetch"


def fetched() -> bool:
    """Whether it was fetched; a changed checkout is no reason to skip, it has to fail."""
    return (vendor_folder() / read_pin().name).exists()


def skip_unless_fetched(kind: str) -> None:
    """Skip where the model kind is `official` and the author's code is not there."""
    if kind.split(":")[0] == "official" and not fetched():
        pytest.skip(REASON)


needs_fetch = pytest.mark.skipif(not fetched(), reason=REASON)
