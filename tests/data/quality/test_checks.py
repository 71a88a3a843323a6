"""What is probably wrong with a log is found, with a pair or a figure and a remedy; clean logs say nothing."""

import random
from datetime import UTC, datetime

import polars as pl
import pytest

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.warnings import WARNINGS
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.quality.log import Origin, findings_between, findings_of_rows, findings_of_sessions

NOW = 1_700_000_000  # seconds; 2023-11-14
SECOND = 1_000_000


def log(sessions, items, seconds=None):
    times = [int(t * SECOND) for t in (range(NOW, NOW + len(sessions)) if seconds is None else seconds)]
    return pl.DataFrame({SESSION: sessions, ITEM: items, TIME: pl.Series(times, dtype=pl.Int64)})


def plain(sessions=400, length=5, step=10):
    """A clean log with integer ids, a session every minute."""
    draw = random.Random(3)
    rows = [(s, draw.randrange(50), NOW + 60 * s + step * k) for s in range(sessions) for k in range(length)]
    return log(*(list(column) for column in zip(*rows, strict=True)))


def found(events, **origin) -> list[Finding]:
    return [*findings_of_rows(events, Origin("x.csv", **origin)), *findings_of_sessions(events, Origin("x.csv"))]


def of_items(ids):
    return found(log([f"s{n // 3}" for n in range(len(ids))], ids))


PAIRS = {
    "a decimal point": ("3", "3.0"),
    "a decimal point, as a comma": ("3", "3,0"),
    "a plus sign": ("3", "+3"),
    "leading zeros": ("7", "007"),
    "upper and lower case": ("ABC", "abc"),
    "spaces": ("3", "3 "),
    "spaces, non-breaking": ("a b", "a\u00a0b"),
    "characters that cannot be seen": ("x", "x\u200b"),
    "characters that cannot be seen, at the start": ("x", "\ufeffx"),
    "the Unicode form": ("caf\u00e9", "cafe\u0301"),
    "quotes": ("z", "'z'"),
    "a scientific notation": ("100000", "1e+05"),
    "separators of thousands": ("1234", "1,234"),
    "full-width letters or digits": ("a3", "a\uff13"),
    "the hyphens or braces of a UUID": (
        "6f1c2a30-0000-4000-8000-00000000000a",
        "6f1c2a300000400080000000000000" + "0a",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_one_id_in_two_forms_is_said_with_the_pair_within_a_log_and_between_two(case):  # fault 40
    one, other = PAIRS[case]
    within = of_items([one, other, "q", one, other, "r"])
    assert [finding.id for finding in within] == ["ids-in-two-forms"]
    assert within[0].message.startswith("x.csv: 2 item ids differ from another one only by " + case.partition(",")[0])
    for text in (one, other):
        assert repr(text) in within[0].message or ascii(text) in within[0].message
    train, test = log(["a", "b", "b"], [one, "q", "r"]), log(["c", "d", "d"], [other, "q", "r"], [NOW + 9] * 3)
    between = list(findings_between(train, test))
    assert [finding.id for finding in between] == ["test-ids-in-another-form"]
    assert "1 of 3 item ids of the test" in between[0].message
    assert case.partition(",")[0] in between[0].message


def test_each_form_is_a_warning_of_its_own_also_where_they_meet_in_one_id():  # fault 40
    kinds = of_items(["ABC", "abc ", "3", "+3.0", "x", "y"])
    assert [finding.message.partition(" only by ")[2].partition(",")[0] for finding in kinds] == [
        "upper and lower case",
        "a plus sign",
    ]


def test_integers_beside_text_between_training_and_test():  # fault 40
    train, test = log([1, 1, 2], [3, 4, 5]), log(["a", "a", "b"], ["3.0", "4.0", "5"], [NOW + 9] * 3)
    (finding,) = findings_between(train, test)
    assert "2 of 3 item ids of the test" in finding.message
    assert "'3.0' in the test and '3' in training" in finding.message


def test_sessions_too_are_compared():  # fault 40
    (finding,) = findings_between(log(["3", "4"], [1, 2]), log(["3.0", "9"], [1, 2], [NOW + 9] * 2))
    assert "1 of 2 session ids" in finding.message


def test_codes_in_which_case_has_a_meaning_are_left_alone():
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    codes = sorted({"".join(draw.choices(letters, k=3)) for _ in range(9000)})
    assert len({code.lower() for code in codes}) < 0.95 * len(codes)  # many coincide by chance
    assert of_items(codes) == []
    long = sorted({"".join(draw.choices(letters, k=9)) for _ in range(900)})
    (finding,) = of_items([*long, *(code.lower() for code in long[:300])])
    assert "upper and lower case" in finding.message


@pytest.mark.parametrize("ids", [["a", "b"], ["1e5", "100000"], ["12e3", "12000"], ["1.5", "15"], ["a-b", "ab"]])
def test_ids_that_are_different_are_left_alone(ids):
    assert of_items(ids) == []


def test_ids_that_a_spreadsheet_has_rounded():
    (finding,) = of_items(["2.14536E+08", "2.14537E+08", "7"])
    assert finding.id == "ids-rounded"
    assert "2 item ids" in finding.message


@pytest.mark.parametrize("word", ["NULL", "nan", "None", "-", "\\N", "unknown", "<NA>", "null "])
def test_a_word_for_a_missing_value_is_found_with_its_share(word):  # fault 41
    events = plain().with_columns(pl.col(SESSION).cast(pl.String))
    events = events.with_columns(
        pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit(word)).otherwise(pl.col(SESSION)).alias(SESSION)
    )
    assert [finding.id for finding in found(events)] == ["missing-value-as-id"]
    (finding,) = found(events)
    assert "200 of 2,000 (10.0 %) events have the session id" in finding.message
    quoted = word.replace("\\", "\\\\")
    assert f'data.missing: ["{quoted}"]' in finding.hint
    (item,) = found(events.select(pl.col(ITEM).alias(SESSION), pl.col(SESSION).alias(ITEM), TIME), gaps=False)
    assert "the item id" in item.message


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("dtype", [pl.Int64, pl.String])
def test_a_number_stands_for_a_missing_value_only_where_its_share_is_unusual(number, dtype):  # fault 41
    events = plain().with_columns(pl.col(SESSION) + 1)
    some = pl.int_range(pl.len()) % 10 == 0
    tenth = events.with_columns(pl.when(some).then(number).otherwise(pl.col(SESSION)).cast(dtype).alias(SESSION))
    assert [finding.id for finding in found(tenth)] == ["missing-value-as-id"]
    usual = events.with_columns(pl.when(pl.col(SESSION) == 7).then(number).otherwise(pl.col(SESSION)).alias(SESSION))
    assert found(usual.with_columns(pl.col(SESSION).cast(dtype))) == []


def test_a_user_with_a_tenth_of_the_log():  # fault 41
    events = plain().with_columns(
        pl.when(pl.int_range(pl.len()) % 10 == 0).then(99999).otherwise(pl.col(SESSION)).alias(SESSION)
    )
    (finding,) = findings_of_rows(events, Origin("x.csv", group="user", gaps=True))
    assert finding.id == "large-share"
    assert "the user 99999 has 200 of 2,000 (10.0 %) events" in finding.message


def test_seconds_read_as_milliseconds_and_other_steps_of_a_unit():  # fault 42
    events = plain()
    for unit, factor, right in (
        ("milliseconds", 1_000, "seconds"),
        ("microseconds", 1_000, "milliseconds"),
        ("microseconds", 1_000_000, "seconds"),
        ("nanoseconds", 1_000, "microseconds"),
    ):
        (finding,) = found(events.with_columns(pl.col(TIME) // factor), unit=unit)
        assert (finding.id, finding.hint) == ("time-unit", f"set data.time_unit: {right}")
        assert "1970-01-" in finding.message
    (written,) = found(events.with_columns(pl.col(TIME) // 1_000_000_000), unit="iso8601")  # pd.to_datetime(seconds)
    assert written.id == "time-unit"
    assert "pd.to_datetime" in written.hint


def test_times_that_count_from_the_start_of_the_log_are_left_alone():
    events = plain().with_columns(pl.col(TIME) - NOW * SECOND)
    for unit in ("seconds", "milliseconds", None):
        assert found(events, unit=unit) == []


def test_half_of_the_rows_in_another_unit():  # fault 42
    late = pl.int_range(pl.len()) % 2 == 0
    events = plain().with_columns(pl.when(late).then(pl.col(TIME)).otherwise(pl.col(TIME) // 1000).alias(TIME))
    (finding,) = findings_of_rows(events, Origin("x.csv", unit="milliseconds"))
    assert finding.id == "times-in-two-units"
    assert "1,000 of 2,000 times are before 1995" in finding.message
    assert "these are probably seconds, the others milliseconds" in finding.message


def test_times_of_zero_and_in_the_future_and_far_from_the_others():  # fault 42
    events = plain()
    zero = events.with_columns(pl.when(pl.int_range(pl.len()) < 3).then(0).otherwise(pl.col(TIME)).alias(TIME))
    (finding,) = findings_of_rows(zero, Origin("x.csv"))
    assert finding.id == "times-in-two-units"
    assert "3 of 2,000" in finding.message
    assert "missing one" in finding.message
    years = 4 * 365 * 86_400 * SECOND
    far = events.with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(pl.col(TIME) - years).otherwise(pl.col(TIME)).alias(TIME)
    )
    (finding,) = findings_of_rows(far, Origin("x.csv"))
    assert finding.id == "times-far-apart"
    tomorrow = datetime.now(UTC).timestamp() + 30 * 86_400
    (finding,) = findings_of_rows(log([1, 1], [1, 2], [tomorrow, tomorrow + 9]), Origin("x.csv"))
    assert finding.id == "times-in-the-future"
    assert "2 of 2 times" in finding.message


def test_training_and_test_exchanged():  # fault 42
    early, late = log([1, 1], [1, 2], [NOW, NOW + 1]), log([2, 2, 3], [1, 2, 1], [NOW + 5, NOW + 6, NOW + 7])
    assert list(findings_between(early, late)) == []
    (finding,) = findings_between(late, early)
    assert finding.id == "train-and-test-exchanged"
    assert "3 of 3 training events" in finding.message
    assert list(findings_between(late, early, timed=False)) == []  # numbers of rows


def test_one_long_session_is_named_with_the_setting_that_limits_it():  # fault 43
    robot = log([777_777] * 8000, [n % 50 for n in range(8000)])
    (finding,) = found(pl.concat([plain(), robot]))
    assert finding.id == "long-sessions"
    assert "the session 777777 has 8,000 events" in finding.message
    assert "95 % of the sessions have at most 5" in finding.message
    assert "split.max_session_length" in finding.hint
    # 400 sessions of 5 events have 400 · 5 · 4 ordered pairs, the robot 8,000 · 7,999
    assert 8000 * 7999 / (8000 * 7999 + 400 * 20) > 0.995
    assert "100 % of all pairs" in finding.message


def test_a_long_session_among_many_of_its_kind_is_left_alone():
    assert found(plain(sessions=40, length=300, step=1)) == []


def test_sessions_that_last_for_days():  # fault 42
    (finding,) = found(plain(step=86_400))
    assert finding.id == "sessions-last-days"
    assert "4.0 days" in finding.message
    assert found(plain(step=3600)) == []


def test_every_finding_is_a_warning_that_exists():
    assert {"ids-in-two-forms", "missing-value-as-id", "time-unit", "long-sessions"} <= WARNINGS.keys()


def test_equally_active_robots_are_all_named_and_in_one_order():
    names = pl.Series(["robot-b", "robot-a", "robot-c"])
    events = plain().with_columns(pl.col(SESSION).cast(pl.String))
    for order in ([0, 1, 2], [2, 1, 0]):
        robots = pl.concat([events.head(200).with_columns(pl.lit(names[place]).alias(SESSION)) for place in order])
        (finding,) = findings_of_rows(pl.concat([events, robots]), Origin("x.csv", group="user", gaps=True))
        assert "the user 'robot-a' has 200 of 2,600 (7.7 %) events, and 2 more stand out as it does" in finding.message
        assert '["robot-a", "robot-b", "robot-c"]' in finding.hint
