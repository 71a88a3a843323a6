"""The sessions that a search may see."""

from pathlib import Path

from gru4rec_cli.base.names import ITEMS_FILE, TRAIN_FILE, VALID_FILE
from gru4rec_cli.data.sessions import Sessions, read_sessions, read_vocabulary


def read_train_and_valid(split: Path, *, known_only: bool) -> tuple[Sessions, Sessions]:
    """Return the training and the validation sessions of a finished split; the test part is not opened.

    `known_only` leaves out clicks of validation on items that training lacks, as in fits.
    """
    vocabulary = read_vocabulary(split / ITEMS_FILE)
    train = read_sessions(split / TRAIN_FILE, vocabulary)
    return train, read_sessions(split / VALID_FILE, vocabulary, known_only=known_only)


def count_validation_events(split: Path, *, known_only: bool) -> int:
    """Return the number of events of the validation sessions that are predicted."""
    vocabulary = read_vocabulary(split / ITEMS_FILE)
    return read_sessions(split / VALID_FILE, vocabulary, known_only=known_only).n_targets


def mean_session_length(split: Path) -> float:
    """Return the mean number of clicks of the training sessions of a finished split."""
    train = read_sessions(split / TRAIN_FILE, read_vocabulary(split / ITEMS_FILE))
    return train.n_events / train.n_sessions
