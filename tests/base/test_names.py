"""Names of fits are made and read the same way."""

import pytest

from gru4rec_cli.base.names import FitName, fits_of


@pytest.mark.parametrize(("fit", "text"), [(FitName("a"), "a"), (FitName("a-b+c", 2), "a-b+c.seed-2")])
def test_a_name_is_read_as_it_was_written(fit: FitName, text: str):
    assert str(fit) == text
    assert FitName.parse(text) == fit


def test_a_name_with_no_number_after_seed_is_an_error():
    with pytest.raises(ValueError, match="invalid literal"):
        FitName.parse("a.seed-x")


def test_the_fits_of_a_model_come_in_the_order_of_their_seeds():
    names = ["a.seed-10", "b", "a.seed-2", "ab.seed-1", "a-b.seed-3"]
    assert fits_of("a", names) == ["a.seed-2", "a.seed-10"]
    assert fits_of("b", names) == ["b"]
    assert fits_of("c", names) == []
