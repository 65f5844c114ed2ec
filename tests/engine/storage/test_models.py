from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import StatementError

from profilemesh.storage import Storage, runs
from profilemesh.storage.engine import make_engine
from profilemesh.storage.models import EPOCH, Count, Number, Result, Run, UtcDateTime, clean_json, clean_text
from profilemesh.storage.runs import Metric

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def new_run(table: str = "orders", at: datetime = NOW) -> Run:
    return Run(run_id="r1", dataset_name=table, schema_name="main", warehouse="shop", profiled_at=at)


def kept_metric(storage: Storage, metric: Metric) -> Result:
    with storage.begin() as session:
        runs.save_results(session, new_run(), [metric])
    with storage.read() as session:
        return session.scalars(sa.select(Result)).one()


TEXTS = {
    "plain": "plain",
    "a\0b": "a\u2400b",
    "a\ud800b": "a\ufffdb",
    "\udc00": "\ufffd",
    "\U0001f600 \u202e \r\n": "\U0001f600 \u202e \r\n",
    "\ufeffbom": "\ufeffbom",
    "": "",
}


def test_any_text_can_be_stored(storage: Storage) -> None:
    with storage.begin() as session:
        runs.save_results(session, new_run(), [Metric(text, "min", text) for text in TEXTS])
    with storage.read() as session:
        kept = session.execute(sa.select(Result.column_name, Result.metric_value).order_by(Result.id)).all()
    assert kept == [(text, text) for text in TEXTS.values()]


@pytest.mark.parametrize("kept", TEXTS.values())
def test_clean_text_stays_as_it_is(kept: str) -> None:
    assert clean_text(kept) == kept


@pytest.mark.parametrize("length", [300, 1024])
def test_long_names_are_kept_whole(storage: Storage, length: int) -> None:
    name = "\u00e9" * length
    with storage.begin() as session:
        runs.start_run(session, new_run(name))
    assert kept_metric(storage, Metric(name, "count", "1", 1, "STRUCT<" + name + ">")).column_name == name
    with storage.read() as session:
        assert session.scalars(sa.select(Run.dataset_name)).one() == name


def test_what_is_no_finite_number_is_null_and_its_text_stays(storage: Storage) -> None:
    odd = [math.nan, math.inf, -math.inf, np.float64("nan"), Decimal("NaN"), Decimal("Infinity")]
    with storage.begin() as session:
        runs.save_results(session, new_run(), [Metric("c", "max", str(number), number) for number in odd])
    with storage.read() as session:
        kept = session.execute(sa.select(Result.metric_number, Result.metric_value).order_by(Result.id)).all()
    assert kept == [(None, str(number)) for number in odd]


def test_numbers_of_any_library_are_doubles(storage: Storage) -> None:
    numbers = [np.float64(1.5), np.float32(1.5), Decimal("1.5"), 1.5]
    with storage.begin() as session:
        runs.save_results(session, new_run(), [Metric("c", "mean", None, number) for number in numbers])
    with storage.read() as session:
        assert session.scalars(sa.select(Result.metric_number)).all() == [1.5] * 4


def test_a_fraction_is_no_count(storage: Storage) -> None:
    run = new_run()
    run.row_count = 1.5  # type: ignore[assignment]
    with pytest.raises(StatementError, match="cannot be interpreted as an integer"), storage.begin() as session:
        runs.start_run(session, run)


def test_json_is_strict_and_none_is_null(storage: Storage) -> None:
    run = new_run()
    run.scope_detail, run.statements = {"a": (math.inf, 1), "\0": "\ud800"}, None
    with storage.begin() as session:
        runs.start_run(session, run)
    with storage.read() as session:
        assert session.scalars(sa.select(Run.scope_detail)).one() == {"a": [None, 1], "\u2400": "\ufffd"}
        assert session.scalar(sa.select(sa.func.count()).where(Run.statements.is_(sa.null()))) == 1


def test_clean_json_keeps_what_is_clean() -> None:
    value = {"a": [1, 2.5, True, None, {"b": "c"}]}
    assert clean_json(value) == value


def test_times_come_back_in_utc_to_the_microsecond(storage: Storage) -> None:
    there = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with storage.begin() as session:
        runs.start_run(session, new_run(at=there))
    with storage.read() as session:
        kept = session.scalars(sa.select(Run.profiled_at)).one()
    assert (kept, kept.utcoffset()) == (there, timedelta(0))


def test_naive_times_are_refused(storage: Storage) -> None:
    with pytest.raises(StatementError, match="naive time"), storage.begin() as session:
        runs.start_run(session, new_run(at=datetime(2026, 3, 1)))  # noqa: DTZ001


ANY_TIMES = {
    "2026-03-01 12:00:00.000000": NOW,
    "2026-03-01 12:00:00": NOW,
    "2026-03-01T12:00:00Z": NOW,
    "2026-03-01T14:00:00.000+02:00": NOW,
    "2026-03-01": NOW.replace(hour=0),
    "yesterday": EPOCH,
    "9999-12-31 23:59:59-12:00": EPOCH,
    "": EPOCH,
}


@pytest.mark.parametrize("text", ANY_TIMES)
def test_times_that_others_wrote_are_read_in_any_form(text: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        found = connection.scalar(sa.select(sa.literal_column(f"'{text}'", UtcDateTime)))
    assert found == ANY_TIMES[text]


ANY_COUNTS = {
    "12": 12,
    "12.0": 12,
    "12.5": None,
    "'12'": None,
    "'many'": None,
    "9e999": None,
    "x'0c'": None,
    "null": None,
}


@pytest.mark.parametrize("value", ANY_COUNTS)
def test_what_is_no_count_is_read_as_unknown(value: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.literal_column(value, Count))) == ANY_COUNTS[value]


@pytest.mark.parametrize("value", ["9e999", "-9e999", "'nan'", "x'00'", "null"])
def test_what_is_no_finite_number_is_read_as_unknown(value: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.literal_column(value, Number))) is None


def test_nan_in_postgres_is_read_as_unknown(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.literal_column("'NaN'::float8", Number))) is None
        assert connection.scalar(sa.select(sa.literal_column("'infinity'::timestamptz", UtcDateTime))) is not None
    engine.dispose()
