"""What goes wrong in the demo is found, in the right table and column and on the right day, and little else is."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest

from bench._demo import INCIDENTS
from tests.test_seed import END, built, folder, query

pytestmark = pytest.mark.timeout(600)

FALSE_RATE = 0.02
"""Of runs on clean days, as it is held by simulation."""
SHOWS = {
    (21, "customers", "email"): {("metric", "null_percent")},
    (16, "web_events", None): {("volume", "row_count")},
    (11, "products", "weight_kg"): {("schema", "retyped")},
    (7, "products", "price"): {("distribution", "distribution")},
    (3, "orders", "channel"): {("schema", "removed")},
    (1, "web_events", "duration_ms"): {("distribution", "distribution")},
}
FOLLOWS = {
    (7, "order_lines", "unit_price"),
    (7, "recent_orders", "total"),
    (7, "orders", "total"),
    (16, "web_events", "customer_id"),
    (3, "orders", "sales_channel"),
}
"""What else moves because of an incident, from its day on."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All thirty days: the incidents lie on most of them."""
    path = folder(tmp_path_factory.mktemp("drift") / "demo")
    built(path, "--days", "30", "--end", str(END))
    return path


@pytest.fixture(scope="module")
def opened(demo: Path) -> dict[tuple[int, str, str], set[tuple[str, str]]]:
    """What was found first on each day before the end: kinds and metrics, by table and column."""
    found = query(
        demo,
        "SELECT date(opened_at), table_name, column_name, kind, metric_name FROM profilemesh_findings ORDER BY 1",
    )
    by_place: dict[tuple[int, str, str], set[tuple[str, str]]] = defaultdict(set)
    for day, table, column, kind, metric in found:
        by_place[(END - date.fromisoformat(day)).days, table, column].add((kind, metric))
    return by_place


def test_every_incident_has_its_row_here() -> None:
    seen = {(each.days_before_end, each.table, each.column) for each in INCIDENTS if not each.fails}
    assert seen == SHOWS.keys()


@pytest.mark.parametrize(("back", "table", "column"), SHOWS, ids=str)
def test_an_incident_is_found_on_its_day_in_its_table_and_column(
    opened: dict[tuple[int, str, str], set[tuple[str, str]]], back: int, table: str, column: str | None
) -> None:
    assert SHOWS[back, table, column] <= opened[back, table, column or ""]


def test_next_to_nothing_is_found_on_clean_days(
    demo: Path, opened: dict[tuple[int, str, str], set[tuple[str, str]]]
) -> None:
    """A change is found again when it is taken back, on the next day."""
    injected = {(each.days_before_end, each.table) for each in INCIDENTS}
    known = injected | {(back - 1, table) for back, table in injected}
    late = {(day, *place) for back, *place in FOLLOWS for day in range(back, -1, -1)}
    false = [place for place in opened if place[:2] not in known and place not in late]
    [[runs]] = query(demo, "SELECT count(*) FROM profilemesh_runs WHERE status = 'success'")
    assert len(false) <= FALSE_RATE * runs, false


def test_the_half_day_is_named_as_the_partition_at_fault(demo: Path) -> None:
    day = END - timedelta(16)
    [[sentence]] = query(
        demo,
        "SELECT o.sentence FROM profilemesh_occurrences o JOIN profilemesh_findings f USING (finding_id) "
        f"WHERE f.kind = 'volume' AND f.table_name = 'web_events' AND date(o.at) = '{day}'",
    )
    assert str(day - timedelta(1)) in sentence


def test_what_was_repaired_is_resolved_and_what_stays_is_not_told_again(demo: Path) -> None:
    mail = query(demo, "SELECT state, occurrences FROM profilemesh_findings WHERE column_name = 'email'")
    assert mail == [("resolved", 1)]
    price = query(demo, "SELECT count(*), sum(occurrences) FROM profilemesh_findings WHERE column_name = 'price'")
    assert price[0][0] == 1 and price[0][1] >= 2


def test_every_run_with_drift_says_so_and_no_other(demo: Path) -> None:
    drift = "('DataDriftDetected', 'SchemaChangeDetected')"
    marked = query(demo, "SELECT run_id FROM profilemesh_runs WHERE has_drift ORDER BY 1")
    told = query(demo, f"SELECT DISTINCT run_id FROM profilemesh_events WHERE event_type IN {drift} ORDER BY 1")
    assert marked == told and len(marked) > 6
    assert query(demo, "SELECT count(*) FROM profilemesh_runs WHERE scope_detail LIKE '%drift_error%'") == [(0,)]


def test_owners_are_those_of_the_configuration(demo: Path) -> None:
    owners = dict(query(demo, "SELECT DISTINCT table_name, owner FROM profilemesh_findings"))
    assert (owners["customers"], owners["web_events"], owners["products"]) == ("crm-team", "web-team", "sales-team")
