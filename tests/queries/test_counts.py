"""Counts by days, hours and ragged ends are the rows, whatever the ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.queries.counts import drift_between, periods, pieces, runs_between
from tests.factories import add_drift, add_run

START = datetime(2026, 3, 1, tzinfo=UTC)
times = st.integers(0, 6 * 24 * 3600 * 1000).map(lambda ms: START + timedelta(milliseconds=ms))
SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@given(since=times, until=times | st.none(), by_hour=st.booleans())
def test_pieces_cover_a_time_once_and_counts_only_whole_spans(
    since: datetime, until: datetime | None, by_hour: bool
) -> None:
    found = pieces(since, until, by_hour=by_hour)
    if until is not None and until <= since:
        assert found == []
        return
    assert (found[0].since, found[-1].until) == (since, until)
    assert all(one.until == other.since for one, other in zip(found, found[1:], strict=False))
    for piece in found:
        if piece.span:
            ends = [piece.since] + ([piece.until] if piece.until else [])
            assert all((end - START) % SPANS[piece.span] == timedelta() for end in ends)
    assert not (by_hour and any(piece.span == "day" for piece in found))


@given(since=times, until=times | st.none())
def test_no_more_than_two_hours_are_read_row_by_row(since: datetime, until: datetime | None) -> None:
    ragged = [piece for piece in pieces(since, until) if piece.span is None]
    assert sum((piece.until - piece.since for piece in ragged if piece.until), timedelta()) <= timedelta(hours=2)
    assert all(piece.until for piece in ragged) or until is None


MOMENTS = [START + timedelta(hours=7.3 * n, milliseconds=n) for n in range(18)]


@pytest.fixture
def history(app: Flask, session: Session) -> Session:
    for at in MOMENTS:
        add_drift(session, add_run(session, at=at, columns={}, rows=10), at=at)
    session.commit()
    return session


@pytest.mark.parametrize("until", [None, MOMENTS[9], MOMENTS[9] + timedelta(milliseconds=1), START + timedelta(days=3)])
@pytest.mark.parametrize("since", [START, MOMENTS[1], MOMENTS[2] + timedelta(microseconds=1), MOMENTS[8]])
def test_counts_are_those_of_the_rows(history: Session, since: datetime, until: datetime | None) -> None:
    wanted = sum(at >= since and (until is None or at < until) for at in MOMENTS)
    runs, drift = (
        runs_between(pieces(since, until), lambda c: []).c,
        drift_between(pieces(since, until), lambda c: []).c,
    )
    sums = sa.func.sum(runs.runs), sa.func.sum(runs.rows_sum), sa.func.sum(runs.rows_counted)
    assert tuple(history.execute(sa.select(*sums)).one()) == (wanted, 10 * wanted, wanted)
    assert history.scalar(sa.select(sa.func.sum(drift.events))) == wanted


def test_two_periods_are_told_apart_in_one_statement(history: Session) -> None:
    c = runs_between(periods(MOMENTS[10], MOMENTS[4]), lambda columns: []).c
    rows = history.execute(sa.select(c.period, sa.func.sum(c.runs)).group_by(c.period).order_by(c.period)).all()
    assert [tuple(row) for row in rows] == [(0, 6), (1, 8)]
