from datetime import UTC, datetime, timedelta

import pytest

from app import numerals
from app.formats import ago, command, cut, when
from app.queries.pages import Page
from app.words import read
from tests.factories import NOW


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (9412, "9,412"),
        (9999, "9,999"),
        (10_000, "10 k"),
        (212_345, "212 k"),
        (999_499, "999 k"),
        (999_999, "1 M"),
        (1_840_221, "1.84 M"),
        (96_100_000, "96.1 M"),
        (3_900_000_000, "3.9 bn"),
        (2_500_000_000_000, "2.5 tn"),
        (-1_840_221, "−1.84 M"),
        (0.25, "0.25"),
    ],
)
def test_compact(value: float | None, text: str) -> None:
    assert numerals.compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (3.0, "3"),
        (3924.96, "3,925"),
        (74.123456, "74.12"),
        (0.5, "0.5"),
        (0.00001234, "1.23e-05"),
        (-1.5e300, "−1.5e+300"),
        (736200.6, "736,201"),
        (10**20, "1e+20"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert numerals.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 %"), (0.0001, "<0.1 %"), (0.2, "0.2 %"), (14.1, "14.1 %"), (99.99, ">99.9 %"), (100, "100 %")],
)
def test_percent_never_rounds_something_to_nothing(value: float | None, text: str) -> None:
    assert numerals.percent(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "<1 ms"),
        (0.08, "80 ms"),
        (0.21, "0.21 s"),
        (0.9, "0.9 s"),
        (60, "60 s"),
        (300, "5 min"),
        (9000, "2.5 h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert numerals.duration(seconds) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=3), "now"),
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_ago(before: timedelta, text: str) -> None:
    assert ago(NOW - before, NOW) == text


def test_long_ago_is_a_date() -> None:
    then = datetime(2024, 1, 31, 12, tzinfo=UTC)
    assert ago(then, NOW) == "2024-01-31"
    assert ">2024-01-31<" in when(then, NOW, " ago")


def test_a_time_has_the_exact_one_in_its_tip() -> None:
    then = datetime(2026, 11, 22, 23, 59, 8, tzinfo=UTC)
    told = when(then, then + timedelta(hours=5), " ago")
    assert 'title="2026-11-22 23:59:08 UTC"' in told and ">5 h ago<" in told
    assert 'datetime="2026-11-22T23:59:08+00:00"' in told


def test_values_are_cut_and_kept_whole_in_the_tip() -> None:
    assert cut("x" * 40, 10) == f'<bdi title="{"x" * 40}">{"x" * 9}…</bdi>'
    assert cut("<b>") == "<bdi>&lt;b&gt;</bdi>"
    assert "empty" in cut("") and "blank" in cut("  ") and "–" in cut(None)


def test_what_was_read_is_told() -> None:
    class Run:
        status, error, scope, scope_detail, row_count, rows_scanned = "success", None, "full", None, 10, 10

    run = Run()
    assert read(run) == "all rows"
    run.scope, run.scope_detail, run.rows_scanned = "merged", {"partitions": 4, "partitions_total": 181}, 62_000
    assert read(run) == "4 of 181 partitions, 62 k rows"
    run.status = "failed"
    assert read(run) == "failed, no error on record"


def test_pages_are_offered_around_the_one_shown() -> None:
    assert Page(5, 1000).around == [1, None, 4, 5, 6, None, 20]
    assert Page(1, 60).around == [1, 2]
    assert Page(1, 0).around == [1]
    assert (Page(2, 60).first, Page(2, 60).last) == (51, 60)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("orders", "profilemesh profile --table orders"),
        ("two words", "profilemesh profile --table 'two words'"),
        ("a*'; rm", """profilemesh profile --table 'a[*]'"'"'; rm'"""),
    ],
)
def test_a_command_can_be_pasted_into_a_shell(table: str, told: str) -> None:
    assert command(table) == told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (7, "7"),
        (19_999.9, "19,999.9"),
        (299_998.5, "299,998.5"),
        (-12_499.75, "−12,499.75"),
        (12.0, "12"),
        (0.1 + 0.2, "0.3"),
        (1e-7, "1e-07"),
        (2**70, "1.181e+21"),
    ],
)
def test_a_largest_value_is_not_rounded_to_one_that_never_was(value: float | None, text: str) -> None:
    assert numerals.precise(value) == text
