"""What is made of the values of several repeats: medians, percentiles, the warning of noise."""

import pytest

from gru4rec_cli.base.warnings import StudyWarning, collected
from gru4rec_cli.bench.notebook import Measurement, percentiles, warn_of_noise
from gru4rec_cli.bench.output import as_csv, section_table


def taking(*values: float, subject: str = "gru4rec") -> Measurement:
    return Measurement("training", subject, {"items": 3000}, "steps_per_second", "steps/s", values)


def test_a_figure_is_the_median_and_the_ends_of_its_repeats():
    found = taking(100.0, 90.0, 130.0).as_dict()
    assert (found["median"], found["low"], found["high"]) == (100.0, 90.0, 130.0)
    assert found["values"] == [100.0, 90.0, 130.0]


def test_percentiles_are_in_milliseconds_and_divide_the_way_between_two_values():
    # Places 0 … 10 hold 0, 1, …, 10 ms: p50 is place 5, p95 place 9.5, p99 place 9.9.
    shuffled = [0.003, 0.010, 0.0, 0.001, 0.009, 0.002, 0.005, 0.004, 0.008, 0.007, 0.006]
    assert percentiles(shuffled) == pytest.approx({"p50": 5.0, "p95": 9.5, "p99": 9.9})
    assert percentiles([0.002]) == {"p50": 2.0, "p95": 2.0, "p99": 2.0}


def test_figures_that_spread_by_more_than_a_tenth_are_named_with_their_spread():
    quiet, noisy = taking(100.0, 95.0, 105.0), taking(100.0, 95.0, 106.0, subject="official")
    with pytest.warns(StudyWarning, match="1 of 2 figures") as found:
        warn_of_noise([quiet, noisy])
    told = str(found[0].message)
    assert "training: official steps per second (items 3,000) 11 %" in told
    assert "gru4rec" not in told


def test_a_quiet_machine_gives_no_warning():
    with collected() as found:
        warn_of_noise([taking(100.0, 95.0, 105.0), taking(7.0)])
    assert found == []


def test_a_table_has_a_row_a_subject_and_says_what_was_not_measured():
    ratio = Measurement("training", "gru4rec", {"items": 3000}, "speed_over_official", "×", (2.0,))
    table = section_table("training", [taking(100.0), taking(250.4, subject="official"), ratio])
    assert table.columns == ("items", "", "steps per second", "speed over official, ×")
    assert table.rows == (("3,000", "gru4rec", "100", "2"), ("3,000", "official", "250", "–"))


def test_the_csv_has_a_line_a_figure():
    head, line = as_csv([taking(100.0, 90.0, 130.0)]).splitlines()
    assert dict(zip(head.split(","), line.split(","), strict=True)) == {
        "section": "training", "subject": "gru4rec", "settings": "", "batch_size": "", "units": "", "items": "3000",
        "events": "", "requests": "", "rate": "", "quantity": "steps_per_second", "unit": "steps/s",
        "median": "100.0", "low": "90.0", "high": "130.0", "repeats": "3",
    }  # fmt: skip
