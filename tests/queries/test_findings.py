from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.queries import courses, findings
from app.queries.findings import Findings
from app.triage import carry_out
from profilemesh.storage import open_storage
from profilemesh.tables import TableRef
from tests.factories import NOW, add_finding, add_run, text_metrics


@pytest.fixture
def session(fresh_url: str) -> Iterator[Session]:
    storage = open_storage(fresh_url)
    with Session(storage.engine) as session:
        yield session
    storage.close()


def wanted(**more: Any) -> dict[str, Any]:
    names = ("warehouse", "environment", "schema", "table", "q", "severity", "owner", "days", "cursor")
    return {**dict.fromkeys(names), "state": "unresolved", "limit": 100, "offset": 0, **more}


@pytest.fixture
def seven(session: Session) -> Session:
    """Two of table a, four of b (one resolved), one of c; the worst of what is open is b's."""
    for place, (table, states) in enumerate({"a": "oo", "b": "oosr", "c": "e"}.items()):
        for day in (2, 1):
            nulls = {("email", "TEXT"): text_metrics(100, 10 * day)}
            run = add_run(
                session, table, run_id=f"{table}{day}", at=NOW - timedelta(days=day, hours=place), columns=nulls
            )
        for n, letter in enumerate(states):
            state = {"o": "open", "s": "snoozed", "r": "resolved", "e": "expected"}[letter]
            until = NOW + timedelta(days=1) if state == "snoozed" else None
            severity = "high" if table == "b" else "low"
            more: dict[str, Any] = {"finding_id": f"{table}{n}", "state": state, "snoozed_until": until}
            add_finding(session, run, metric=("null_percent", "row_count")[n % 2], severity=severity, **more)
    session.flush()
    return session


def ids(found: list[findings.Listed]) -> list[tuple[str, int]]:
    return [(each.row.finding_id, each.of_table) for each in found]


def test_tables_stay_together_whatever_is_cut(seven: Session) -> None:
    every = ids(Findings(seven, wanted(), NOW).by_table(100))
    assert every == [("b0", 3), ("b1", 3), ("b2", 3), ("a0", 2), ("a1", 2), ("c0", 1)]
    for size in (1, 2, 4):
        parts = [Findings(seven, wanted(), NOW).by_table(size, start) for start in range(0, 6, size)]
        assert [each for part in parts for each in ids(part)] == every
    assert Findings(seven, wanted(), NOW).by_table(5, 6) == []


def test_counts_are_those_of_the_lists(seven: Session) -> None:
    for state in findings.CHOICES:
        for severity in (None, *findings.SEVERITIES):
            found = Findings(seven, wanted(state=state, severity=severity), NOW)
            counts = found.counts()
            assert counts.total == counts.states[state] == len(found.by_table(100)) == found.part().total
            listed = Findings(seven, wanted(state=state), NOW).counts().severities
            assert counts.severities == listed


def test_a_snooze_that_is_over_is_open(seven: Session) -> None:
    later = NOW + timedelta(days=2)
    assert [each.state for each in findings.of_table(seven, TableRef("shop", "main", "b"), later)[0]] == ["open"] * 3
    assert Findings(seven, wanted(state="snoozed"), later).counts().total == 0
    assert findings.states_of(seven, ["b2", "nope"], NOW) == {"b2": "snoozed"}


def test_the_worst_of_what_is_open_comes_first(seven: Session) -> None:
    def worst(warehouses: set[str] | None, environment: str | None, most: int = 5) -> list[str]:
        led = findings.leading(seven, warehouses, environment, NOW, (most, 3))
        return [each.finding_id for each in led.worst]

    assert worst(None, None, 3) == ["b0", "b1", "a0"]
    assert worst({"nope"}, None) == [] == worst(None, "staging")
    assert len(worst(None, "production")) == 4
    newest = findings.leading(seven, None, None, NOW, (1, 3)).newest
    assert [each.table_name for each in newest] == ["a", "a", "b"]


def test_each_course_is_of_its_own_table_and_metric(seven: Session) -> None:
    rows = [each.row for each in Findings(seven, wanted(), NOW).by_table(100)]
    found = courses.of_findings(seven, rows, NOW)
    assert found["a0"] == [20.0, 10.0] and found["b1"] == [1000, 1000]


def test_what_a_run_found_is_told_as_it_was_then(seven: Session) -> None:
    run = courses.runs_named(seven, findings.find(seven, "b0", NOW), {"b1", "nope"})["b1"]
    of_run = findings.of_run(seven, add_like(run), NOW)
    assert sorted(each.finding_id for each in of_run) == ["b0", "b1", "b2", "b3"]


def add_like(run: Any) -> Any:
    class Named:
        run_id, dataset_name, schema_name, warehouse = run.run_id, run.dataset_name, run.schema_name, "shop"

    return Named


def test_one_operation_on_many_tells_what_came_of_each(seven: Session) -> None:
    asked = {"action": "resolve", "text": " ", "to": None, "until": None}
    outcomes = carry_out(seven, ["a0", "b3", "nope", "a0"], asked, "ann", NOW)
    told = [(each.finding_id, each.result, each.state) for each in outcomes]
    assert told == [("a0", "done", "resolved"), ("b3", "unchanged", "resolved"), ("nope", "missing", None)]
