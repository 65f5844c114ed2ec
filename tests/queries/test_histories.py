"""What is read of a table's past, on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.queries import histories, past, tables
from profilemesh.storage import open_storage
from profilemesh.storage.models import Event, Run
from profilemesh.tables import TableRef
from tests.factories import NOW, add_finding, add_run, number_metrics

ORDERS = TableRef("shop", "main", "orders")
EVER = NOW - timedelta(days=3650)


@pytest.fixture
def session(fresh_url: str) -> Iterator[Session]:
    storage = open_storage(fresh_url)
    with Session(storage.engine) as session:
        yield session
    storage.close()


@pytest.fixture
def runs(session: Session) -> list[Run]:
    """One a day, the newest failed; each with two columns, the second half as empty as the first; and other tables."""
    found = [
        add_run(
            session,
            run_id=f"r{day}",
            at=NOW - timedelta(days=day),
            rows=100 + day,
            status="failed" if day == 0 else "success",
            columns={("b", "INT"): number_metrics(100, 2 * day), ("a", "INT"): number_metrics(100, day)},
        )
        for day in range(12, -1, -1)
    ]
    for other in ({"table": "customers"}, {"schema": "other"}, {"warehouse": "clicks"}):
        add_run(session, **{"columns": {("a", "INT"): number_metrics(7)}, **other})  # type: ignore[arg-type]
    session.flush()
    return found


def test_the_newest_and_the_last_good(session: Session, runs: list[Run]) -> None:
    newest = histories.newest_of(session, ORDERS, 3)
    assert [run.run_id for run in newest.runs] == ["r0", "r1", "r2"] and newest.total == 13
    assert newest.good is not None and newest.good.run_id == "r1"
    assert histories.newest_of(session, TableRef("shop", "main", "nope"), 3) == histories.Newest()


def test_a_good_run_that_no_list_holds_is_found(session: Session) -> None:
    add_run(session, run_id="good", at=NOW - timedelta(days=1))
    for i in range(5):
        add_run(session, at=NOW - timedelta(minutes=i), status="failed")
    newest = histories.newest_of(session, ORDERS, 3)
    assert newest.good is not None and newest.good.run_id == "good"
    assert len(newest.runs) == 3 and {run.status for run in newest.runs} == {"failed"}


def test_spans_are_thinned(session: Session, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = histories.span_of(session, ORDERS, NOW - timedelta(days=5, hours=1))
    assert [run.run_id for run in whole.runs] == ["r5", "r4", "r3", "r2", "r1"] and not whole.is_thinned
    runs[6].has_drift = True
    session.flush()
    monkeypatch.setattr(histories, "MOST", 4)
    thin = histories.span_of(session, ORDERS, EVER)
    assert [run.run_id for run in thin.runs] == ["r10", "r7", "r6", "r4", "r1"] and thin.total == 12


@pytest.mark.parametrize(("days", "found"), [(0, "r2"), (7, "r8"), (11, "r12"), (30, "r12")])
def test_a_baseline_is_some_days_older(session: Session, runs: list[Run], days: int, found: str) -> None:
    latest = histories.newest_of(session, ORDERS, 1).good
    baseline = histories.baseline_of(session, latest, days)
    assert baseline is not None and baseline.run_id == found


def test_a_sample_is_laid_over_a_sample(session: Session) -> None:
    for day, scope in enumerate(("sample", "full", "merged", "sample", None)):
        add_run(session, run_id=f"s{day}", at=NOW - timedelta(days=day), scope=scope, columns={})
    session.flush()
    newest = histories.newest_of(session, ORDERS, 5).runs
    found = [histories.baseline_of(session, run, 0) for run in newest]
    assert [run and run.run_id for run in found] == ["s3", "s2", "s4", None, None]


def test_columns_stand_in_the_tables_order(session: Session, runs: list[Run]) -> None:
    keys = histories.columns_of(session, runs[2])
    assert [(key.name, key.type, key.place, key.null_percent) for key in keys] == [
        ("b", "INT", 0, 20),
        ("a", "INT", 1, 10),
    ]


def test_trends_and_the_mean_over_all_columns(session: Session, runs: list[Run]) -> None:
    found = histories.trends_of(session, runs[-4:-1], {"a"}, runs[-3:-1])
    assert list(found.columns) == ["a"] and found.columns["a"]["null_percent"] == [3, 2, 1]
    assert found.null_shares == {"r2": 3, "r1": 1.5}
    assert histories.trends_of(session, [], {"a"}, []) == histories.Trends({}, {})


def test_a_columns_course(session: Session, runs: list[Run]) -> None:
    found = histories.column_course(session, runs[:2], "a", ())
    assert {run_id: each.values["null_percent"] for run_id, each in found.items()} == {"r12": 12, "r11": 11}
    assert found["r12"].type == "INT" and found["r12"].texts["max"] == "9812.4"


def test_profiles_of_two_runs_at_once(session: Session, runs: list[Run]) -> None:
    found = histories.profiles_in(session, runs[:2], {"a"}, {"null_count", "histogram"})
    assert {run_id: list(columns["a"].values) for run_id, columns in found.items()} == {
        "r12": ["null_count", "histogram"],
        "r11": ["null_count", "histogram"],
    }
    assert "mean" in histories.profiles_in(session, runs[:1], {"a"})["r12"]["a"].values


def test_the_past_is_told_newest_first(session: Session, runs: list[Run]) -> None:
    for run, column in ((runs[3], "a"), (runs[8], "b"), (runs[9], "")):
        add_finding(session, run, column, sentence=f"{column} moved")
    event: dict[str, Any] = {"warehouse": "shop", "schema_name": "main", "table_name": "orders", "column_name": "a"}
    changed = {"event_type": "SchemaChangeDetected", "timestamp": NOW - timedelta(days=400), "run_id": None}
    session.add(Event(event_id="e", metric_name="added", details='{"sentence": "a was added"}', **event, **changed))
    session.flush()
    found = past.past_of(session, ORDERS, NOW - timedelta(days=8))
    assert [each.sentence for each in found.drift] == [" moved", "b moved"]
    assert [(each.sentence, each.metric, each.severity) for each in found.schema] == [("a was added", "added", "low")]
    of_column = past.past_of(session, ORDERS, EVER, "a")
    assert [each.column for each in of_column.drift] == ["a"] and len(of_column.schema) == 1
    assert [each.sentence for each in past.findings_of(session, ORDERS, "a", NOW)] == ["a moved"]


@pytest.mark.parametrize(("warehouse", "found"), [("shop", 1), ("duckdb", 2), ("postgres", 0), (None, 2)])
def test_a_table_is_found_by_its_warehouse_or_the_type_of_it(
    session: Session, runs: list[Run], warehouse: str | None, found: int
) -> None:
    assert len(tables.find(session, "orders", "main", warehouse)) == found
