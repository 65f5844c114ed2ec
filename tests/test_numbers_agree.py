"""One fact, one number: the warehouse and the storage asked by plain SQL, every page, the API and the commands."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.extensions import db
from profilemesh.config import load_config
from profilemesh.runner import look, opened, run_plan
from profilemesh.storage import open_storage
from profilemesh.storage.engine import make_engine
from tests.commands import called
from tests.engine.ticks import write_duckdb, write_sqlite
from tests.markup import Node, read
from tests.web import make_app

CONFIG = """
environment: production
warehouses:
  shop: {type: duckdb, filepath: shop.duckdb}
  desk: {type: sqlite, filepath: desk.sqlite}
incremental: {enabled: true, adaptive_scheduling: {enabled: false}}
"""
DAYS = 30
ORDERS = """CREATE OR REPLACE TABLE orders AS SELECT i AS id, (hash(i) % 100000) / 100.0 AS total,
    CASE WHEN hash(i) % {mails} > 0 THEN 'm' || i || '@example.com' END AS email,
    CASE hash(i) % 3 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' ELSE 'sent' END AS status,
    DATE '2026-01-01' + CAST(i % 90 AS INTEGER) AS placed,
    i % 7 = 0 AS is_gift FROM range({rows}) r(i)"""
MORNINGS = (
    (
        ORDERS.format(mails=200, rows=3000),
        "CREATE TABLE products AS SELECT i AS id, i * 1.5 AS price FROM range(40) r(i)",
        "CREATE VIEW recent AS SELECT id, status FROM orders WHERE id > 2000",
    ),
    *((ORDERS.format(mails=200, rows=3000 + 10 * day),) for day in range(1, 4)),
    (ORDERS.format(mails=3, rows=3060),),
    (ORDERS.format(mails=3, rows=3070) + "; ALTER TABLE orders RENAME status TO state",),
)
DESK = (
    "CREATE TABLE tickets (id INTEGER PRIMARY KEY, weight REAL, topic TEXT)",
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 500) "
    "INSERT INTO tickets SELECT i, i / 8.0, nullif('t' || (i % 5), 't3') FROM r",
)


@dataclass
class World:
    """A project that has lived, and the ways to ask it."""

    folder: Path
    url: str
    client: FlaskClient
    known: dict[Any, Any] = field(default_factory=dict)
    """What was answered already: nothing changes while it is asked."""

    @cached_property
    def engine(self) -> sa.Engine:
        return make_engine(self.url)

    def sql(self, statement: str, **values: Any) -> list[sa.Row[Any]]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(statement), values))

    def column(self, statement: str, **values: Any) -> list[Any]:
        return [row[0] for row in self.sql(statement, **values)]

    def page(self, address: str) -> Node:
        return self._once(("page", address), lambda: read(self._got(address, "text/html").text))

    def api(self, address: str) -> Any:
        return self._got(address).json

    def total(self, address: str) -> int:
        return int(self._got(address).headers["X-Total-Count"])

    def _got(self, address: str, accept: str = "application/json") -> Any:
        answer = self._once((accept, address), lambda: self.client.get(address, headers={"Accept": accept}))
        assert answer.status_code == 200, (address, answer.status_code)
        return answer

    def told(self, *words: str) -> Any:
        return self._once(words, lambda: self.command(*words))

    def command(self, *words: str) -> Any:
        done = called(self.folder, *words, "--json", env={"PROFILEMESH_DB_URL": self.url})
        assert done.code == 0, done.output
        return json.loads(done.stdout)

    def _once(self, key: Any, ask: Callable[[], Any]) -> Any:
        if key not in self.known:
            self.known[key] = ask()
        return self.known[key]

    def tick(self, now: datetime) -> None:
        config = load_config(self.folder / "profilemesh.yml", {"PROFILEMESH_DB_URL": self.url})
        with closing(open_storage(self.url)) as storage, opened(config) as warehouses:
            run_plan(look(config, storage, warehouses, now), config, storage, warehouses, clock=lambda: now)


def lived(folder: Path, url: str) -> World:
    (folder / "profilemesh.yml").write_text(CONFIG)
    write_sqlite(folder / "desk.sqlite", *DESK)
    world = World(folder, url, make_app(url, PROFILEMESH_CONFIG=str(folder / "profilemesh.yml")).test_client())
    now = datetime.now(UTC)
    for back, statements in zip(range(len(MORNINGS) - 1, -1, -1), MORNINGS, strict=True):
        write_duckdb(folder / "shop.duckdb", *statements)
        world.tick(now - timedelta(days=back, hours=1))
    world.command("pause", "products")
    [finding] = world.column("SELECT finding_id FROM profilemesh_findings WHERE metric_name = 'null_percent'")
    world.client.post("/api/findings/triage", json={"findings": [finding], "action": "acknowledge"})
    write_duckdb(folder / "shop.duckdb", "INSERT INTO orders SELECT * FROM orders LIMIT 1")
    world.tick(now - timedelta(minutes=20))
    return world


@pytest.fixture(scope="module")
def sqlite_world(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("agree")
    return lived(folder, f"sqlite:///{shutil.copy(empty_storage, folder / 'profilemesh.db')}")


@pytest.fixture(scope="module")
def postgres_world(postgres_server: Any, empty_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    postgres_server.execute(f"CREATE DATABASE agreeing TEMPLATE {empty_postgres}")
    return lived(tmp_path_factory.mktemp("agree"), postgres_server.url("agreeing"))


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    found: World = request.getfixturevalue(f"{request.param}_world")
    yield found
    found.engine.dispose()
    with found.client.application.app_context():
        db.engine.dispose()


def since(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def tile(world: World, label: str, days: int = DAYS) -> Node:
    [found] = [
        each for each in world.page(f"/?days={days}").all("a", "tile") if each.one("span", "label").text == label
    ]
    return found


def cells(row: Node) -> list[Node]:
    return [child for child in row.children if isinstance(child, Node) and child.tag in ("td", "th")]


def table_rows(page: Node, of_class: str) -> dict[str, list[Node]]:
    """The cells of each row by the name in it."""
    [table] = page.all("table", of_class)[:1]
    rows = table.one("tbody").all("tr")
    return {next(node for node in row if node.attributes.get("class") == "name").text: cells(row) for row in rows}


def facts(page: Node) -> dict[str, Node]:
    [found] = page.all("dl", "facts")[:1]
    return {each.one("dt").text: each.one("dd") for each in found.all("div")}


def tables_of(world: World) -> dict[str, str]:
    return {
        name: warehouse for warehouse, name in world.sql("SELECT warehouse, table_name FROM profilemesh_table_state")
    }


def stored(world: World, column: str) -> dict[str, Any]:
    return {name: value for name, value in world.sql(f"SELECT table_name, {column} FROM profilemesh_table_state")}


def by_table(rows: list[dict[str, Any]], column: str, key: str = "table") -> dict[str, Any]:
    return {row[key]: row[column] for row in rows}


def time_of(value: Any) -> datetime | None:
    """What SQL, JSON or a page has of a time."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def times(values: dict[str, Any]) -> dict[str, datetime | None]:
    return {name: time_of(value) for name, value in values.items()}


def test_tables(world: World) -> None:
    [count] = world.column("SELECT count(*) FROM profilemesh_table_state WHERE vanished_at IS NULL")
    assert count == 4
    assert tile(world, "Tables").one("span", "value").whole == count
    assert world.page("/tables").one("h2").text == f"{count} tables"
    assert sum(cells(row)[2].whole for row in world.page("/warehouses").one("tbody").all("tr")) == count
    assert world.total("/api/tables") == len(world.api("/api/tables")) == count
    assert world.api(f"/api/dashboard/metrics?days={DAYS}")["total_tables"] == count
    assert len(world.told("tables")) == len(world.told("status")) == count


@pytest.mark.parametrize("days", [1, 7, DAYS])
def test_runs_by_status(world: World, days: int) -> None:
    asked = {"since": since(days)} if "postgres" in world.url else {"since": since(days).isoformat(" ")}
    counted = Counter(world.column("SELECT status FROM profilemesh_runs WHERE profiled_at >= :since", **asked))
    total = sum(counted.values())
    assert set(counted) == {"success", "failed"}
    assert tile(world, "Runs", days).one("span", "value").whole == total
    assert tile(world, "Failed", days).one("span", "value").whole == counted["failed"]
    dashboard = world.api(f"/api/dashboard/metrics?days={days}")
    assert dashboard["total_runs"] == sum(point["value"] for point in dashboard["run_trend"]) == total
    exported = world.told("export", "runs", "--since", f"{days}d")["runs"]
    assert Counter(run["status"] for run in exported) == counted
    for status in ("", *counted):
        wanted = counted[status] if status else total
        query = f"days={days}&status={status}"
        assert world.total(f"/api/runs?{query}") == len(world.api(f"/api/runs?{query}&limit=1000")) == wanted
        assert world.page(f"/runs?{query}").one("h2").text.startswith(f"{wanted} run")
    pictured = world.page(f"/?days={days}").all("svg", "bars")[0].attributes["aria-label"]
    assert sum(map(int, re.findall(r"(\d+) \w+", pictured.split("in all")[1]))) == total
    warehouses = [cells(row) for row in world.page("/warehouses").one("tbody").all("tr")]
    if days == DAYS:
        assert (sum(row[5].whole for row in warehouses), sum(row[6].whole for row in warehouses)) == (
            total,
            counted["failed"],
        )


def test_drift_by_severity(world: World) -> None:
    rows = world.sql("SELECT severity, state, table_name FROM profilemesh_findings WHERE state <> 'resolved'")
    unresolved = Counter(row.severity for row in rows)
    open_ = Counter(row.severity for row in rows if row.state == "open")
    assert unresolved.total() > open_.total() > 0
    page = world.page("/drift")
    assert {
        each.one("span", "label").text.lower(): each.one("span", "value").whole for each in page.all("a", "counter")
    } == {severity: unresolved[severity] for severity in ("high", "medium", "low")}
    states = {each.text.split()[0]: each for each in page.all("div", "states")[0].all("a")}
    assert (states["Unresolved"].one("i").whole, states["Open"].one("i").whole) == (len(rows), open_.total())
    assert sum(len(listed.all("li")) for listed in page.all("ul", "findings")) == len(rows)
    for address in ("/", "/tables", "/help"):
        tip = world.page(address).one("span", "count").attributes["title"]
        assert tip == f"{open_.total()} open" + (f", {open_['high']} of them high" if open_["high"] else "")
    assert tile(world, "Open drift").one("span", "value").whole == open_.total()
    assert world.total("/api/findings") == len(world.api("/api/findings")) == len(rows)
    for severity, count in unresolved.items():
        assert world.total(f"/api/findings?severity={severity}") == count
    assert world.total("/api/findings?state=open") == open_.total()
    assert Counter(each["severity"] for each in world.told("drift")) == unresolved
    of_table = Counter(row.table_name for row in rows if row.state == "open")
    told = by_table(world.told("tables"), "open_findings")
    assert {name: count for name, count in told.items() if count} == of_table
    listed = table_rows(world.page("/tables"), "tables")
    assert {name: row[4].whole for name, row in listed.items() if row[4].text} == of_table
    for name in listed:
        of_it = [each for each in rows if each.table_name == name]
        assert len(world.told("show", name)["findings"]) == len(of_it)
        said = [
            h2.one("span", "sub").text for h2 in world.page(f"/tables/{name}").all("h2") if h2.text.startswith("Drift ")
        ]
        assert said == ([f"{len(of_it)} unresolved"] if of_it else [])


def test_drift_by_day(world: World) -> None:
    events = world.sql(
        "SELECT event_id, timestamp, drift_severity FROM profilemesh_events WHERE drift_severity IS NOT NULL"
    )
    by_day = Counter(time_of(event.timestamp).astimezone(UTC).date() for event in events)  # type: ignore[union-attr]
    assert len(by_day) >= 2
    dashboard = world.api(f"/api/dashboard/metrics?days={DAYS}")
    trend = {datetime.fromisoformat(point["timestamp"]).date(): point["value"] for point in dashboard["drift_trend"]}
    assert {day: count for day, count in trend.items() if count} == by_day
    assert dashboard["total_drift_events"] == len(events) == world.total(f"/api/drift?days={DAYS}")
    exported = world.told("export", "drift")["drift_alerts"]
    assert {each["event_id"] for each in exported} == {event.event_id for event in events}
    assert f"· {len(events)} found" in tile(world, "Open drift").text
    chart = world.page(f"/?days={DAYS}").all("svg", "bars")[1]
    tips = [re.match(r"(\d+ \w+): (\d+) finding", each.text) for each in chart.all("title")]
    assert {tip[1]: int(tip[2]) for tip in tips if tip and int(tip[2])} == {
        f"{day:%-d %b}": count for day, count in by_day.items()
    }
    severities = Counter(event.drift_severity.lower() for event in events)
    pictured = dict(
        reversed(each.split()) for each in re.findall(r"\d+ (?:low|medium|high)", chart.attributes["aria-label"])
    )
    assert {name: int(count) for name, count in pictured.items()} == severities


def test_rows_of_each_table(world: World) -> None:
    with duckdb.connect(str(world.folder / "shop.duckdb"), read_only=True) as shop:
        held = {name: shop.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("orders", "products")}
    held |= {"tickets": 500, "recent": stored(world, "row_count")["recent"]}
    assert stored(world, "row_count") == held
    listed = table_rows(world.page("/tables"), "tables")
    assert {name: row[1].whole for name, row in listed.items()} == held
    assert by_table(world.api("/api/tables"), "row_count", "table_name") == held
    assert by_table(world.told("tables"), "rows") == by_table(world.told("status"), "rows") == held
    for name, rows in held.items():
        assert facts(world.page(f"/tables/{name}"))["Rows"].whole == rows
        assert world.api(f"/api/tables/{name}/metrics")["row_count"] == rows
        assert world.api(f"/api/tables/{name}/state")["row_count"] == rows
        assert world.told("show", name)["run"]["rows"] == rows


def test_columns_of_each_table(world: World) -> None:
    counts = by_table(world.told("tables"), "columns")
    assert counts == {"orders": 6, "products": 2, "recent": 2, "tickets": 3}
    assert by_table(world.api("/api/tables"), "column_count", "table_name") == counts
    listed = table_rows(world.page("/tables"), "tables")
    assert {name: row[3].whole for name, row in listed.items()} == counts
    for name, count in counts.items():
        assert facts(world.page(f"/tables/{name}"))["Columns"].whole == count
        assert world.api(f"/api/tables/{name}/metrics")["column_count"] == count
        assert len(world.told("show", name)["columns"]) == count


NUMBERS = {
    "null_count": "count(*) - count({c})",
    "null_percent": "100.0 * (count(*) - count({c})) / count(*)",
    "min": "min({c})",
    "max": "max({c})",
    "mean": "avg({c})",
    "stddev": "stddev_samp({c})",
    "distinct_count": "count(DISTINCT {c})",
    **{
        name: f"quantile_disc({{c}}, {part})"
        for name, part in (("p05", 0.05), ("p25", 0.25), ("median", 0.5), ("p95", 0.95))
    },
}
WITHIN = {"distinct_count": 0.049, "p05": 0.011, "p25": 0.011, "median": 0.011, "p95": 0.011}
"""Of estimates; what is exact differs by its last digits at most."""


def measured(world: World, column: str) -> dict[str, Any]:
    chosen = ", ".join(sql.format(c=column) for sql in NUMBERS.values())
    with duckdb.connect(str(world.folder / "shop.duckdb"), read_only=True) as shop:
        return dict(zip(NUMBERS, shop.execute(f"SELECT {chosen} FROM orders").fetchone() or (), strict=True))


@pytest.mark.parametrize("column", ["id", "total"])
def test_metrics_of_a_number(world: World, column: str) -> None:
    held = {name: float(value) for name, value in measured(world, column).items()}
    run_id = world.told("show", "orders")["run"]["run_id"]
    told = next(each["metrics"] for each in world.told("show", "orders")["columns"] if each["name"] == column)
    for name, value in held.items():
        assert told[name] == pytest.approx(value, rel=WITHIN.get(name, 1e-9)), name
    for address in ("/api/tables/orders/metrics", f"/api/runs/{run_id}"):
        said = next(each for each in world.api(address)["columns"] if each["column_name"] == column)
        of_api = said | said["metrics"] | {"min": said["min_value"], "max": said["max_value"]}
        assert {name: of_api[name] for name in held} == {name: told[name] for name in held}, address
    history = world.api(f"/api/tables/orders/columns/{column}/metrics")["metrics"]
    assert {name: history[name][-1]["value"] for name in held} == {name: told[name] for name in held}
    page = facts(world.page(f"/tables/orders/columns/{column}"))
    assert (page["Min"].number, page["Max"].number) == (told["min"], told["max"])
    assert page["Mean ± sd"].number == told["mean"] and page["Median"].number == told["median"]
    assert page["Distinct"].whole == told["distinct_count"]
    assert page["Nulls"].exact == f"{told['null_count']:,} of {told['count']:,} rows"
    for address in ("/tables/orders", f"/runs/{run_id}"):
        nulls, distinct, low, high, mean = table_rows(world.page(address), "columns")[column][1:6]
        assert nulls.exact == page["Nulls"].exact and distinct.whole == told["distinct_count"]
        assert (low.number, high.number, mean.number) == (told["min"], told["max"], told["mean"])


@pytest.mark.parametrize("column", ["email", "state", "placed", "is_gift"])
def test_nulls_and_distinct_of_any_column(world: World, column: str) -> None:
    sql = f"SELECT count(*) - count({column}), count(DISTINCT {column}), count(*) FROM orders"
    with duckdb.connect(str(world.folder / "shop.duckdb"), read_only=True) as shop:
        nulls, distinct, count = shop.execute(sql).fetchone()  # type: ignore[misc]
    told = next(each["metrics"] for each in world.told("show", "orders")["columns"] if each["name"] == column)
    assert (told["null_count"], told["count"]) == (nulls, count)
    assert told["null_percent"] == pytest.approx(100 * nulls / count)
    assert told["distinct_count"] == pytest.approx(distinct, rel=0.049)
    page = facts(world.page(f"/tables/orders/columns/{column}"))
    assert page["Nulls"].exact == f"{nulls:,} of {count:,} rows" and page["Distinct"].whole == told["distinct_count"]


def test_how_stale_each_table_is(world: World) -> None:
    told = by_table(world.told("status"), "staleness_score")
    assert told["recent"] > 0 and told["tickets"] == told["orders"] == 0
    assert stored(world, "staleness_score")["orders"] > 0, "it was read since it was scored"
    assert by_table(world.told("tables"), "staleness_score") == told
    listed = table_rows(world.page("/tables"), "tables")
    assert {name: row[7].whole for name, row in listed.items()} == told
    of_api = world.api("/api/tables")
    assert by_table(of_api, "staleness_score", "table_name") == told
    assert by_table(of_api, "is_stale", "table_name") == {name: score >= 50 for name, score in told.items()}
    stale = {name for name, score in told.items() if score >= 50}
    assert {each["table_name"] for each in world.api("/api/tables?stale=true")} == stale
    assert set(table_rows(world.page("/tables?state=stale"), "tables")) == stale if stale else True
    for name, score in told.items():
        assert facts(world.page(f"/tables/{name}"))["Staleness"].whole == score
        assert world.api(f"/api/tables/{name}/state")["staleness_score"] == score
        assert world.told("show", name)["state"]["staleness_score"] == score


@pytest.mark.parametrize(
    ("column", "place", "fact", "of_api"),
    [("last_profiled_at", 5, "Profiled", "last_profiled"), ("last_verified_at", 6, "Verified", "last_verified")],
)
def test_when_each_table_was_read_and_proved(world: World, column: str, place: int, fact: str, of_api: str) -> None:
    held = times(stored(world, column))
    assert times(by_table(world.told("status"), column)) == held
    listed = table_rows(world.page("/tables"), "tables")
    assert {name: row[place].moment for name, row in listed.items()} == held
    assert times(by_table(world.api("/api/tables"), of_api, "table_name")) == held
    for name, at in held.items():
        assert facts(world.page(f"/tables/{name}"))[fact].moment == at
        assert time_of(world.api(f"/api/tables/{name}/state")[column]) == at
        assert time_of(world.told("show", name)["state"][column]) == at


def test_what_was_decided_of_each_table(world: World) -> None:
    held = {
        name: (decision, reason)
        for name, decision, reason in world.sql(
            "SELECT table_name, decision, decision_reason FROM profilemesh_table_state"
        )
    }
    assert {reason for _, reason in held.values()} >= {"paused", "snapshot_match"}
    assert {each["table"]: (each["decision"], each["reason"]) for each in world.told("status")} == held
    assert {each["table_name"]: (each["decision"], each["reason"]) for each in world.api("/api/tables")} == held
    logged = world.told("decisions", "--limit", "1000")
    newest = {}
    for each in logged:
        newest.setdefault(each["table_name"], (each["action"], each["reason"]))
    assert newest == held
    assert world.total("/api/decisions?days=30") == len(logged)
    for name, decided in held.items():
        state = world.api(f"/api/tables/{name}/state")
        assert (state["decision"], state["reason"]) == decided
        [first] = world.api(f"/api/decisions?table={name}&limit=1")
        assert (first["action"], first["reason"]) == decided
        state = world.told("show", name)["state"]
        assert (state["decision"], state["reason"]) == decided


def test_what_was_read_and_spared(world: World) -> None:
    read_, measured_, estimated = world.sql(
        "SELECT sum(rows_read), sum(rows_measured), sum(rows_estimated) FROM profilemesh_savings"
    )[0]
    [scanned] = world.column("SELECT sum(rows_scanned) FROM profilemesh_runs")
    assert int(read_) == int(scanned)
    assert tile(world, "Rows read").one("span", "value").whole == int(scanned)
    assert tile(world, "Rows spared").one("span", "value").whole == int(measured_ + estimated)
    rows = [
        cells(row)
        for row in world.page("/plan").one("section", "card", "Rows read and rows spared").one("tbody").all("tr")
    ]
    sums = [sum(row[place].whole or 0 for row in rows) for place in (2, 3, 4)]
    assert sums == [int(read_), int(measured_), int(estimated)]
    exported = world.told("export", "runs")["runs"]
    assert sum(run["rows_scanned"] or 0 for run in exported) == int(scanned)
    logged = world.told("decisions", "--limit", "1000")
    assert sum(each["rows_actual"] or 0 for each in logged) == int(scanned)


def test_the_newest_run(world: World) -> None:
    [newest] = world.column("SELECT run_id FROM profilemesh_runs ORDER BY profiled_at DESC, run_id DESC LIMIT 1")
    assert world.api("/api/runs?limit=1")[0]["run_id"] == newest
    assert world.api("/api/dashboard/metrics")["recent_runs"][0]["run_id"] == newest
    assert world.told("export", "runs")["runs"][0]["run_id"] == newest
    first = world.page("/").all("table", "runs")[0].one("tbody").all("a", "name")[0]
    assert quote(newest) in first.attributes["href"]
    assert quote(newest) in world.page("/runs").one("tbody").all("a", "name")[0].attributes["href"]
    newest_of = {}
    for name, run_id in world.sql("SELECT dataset_name, run_id FROM profilemesh_runs ORDER BY profiled_at"):
        newest_of[name] = run_id
    for name, run_id in newest_of.items():
        assert (
            run_id in world.page(f"/tables/{name}").all("table", "runs")[0].one("tbody").all("a")[0].attributes["href"]
        )
        [count] = world.column("SELECT count(*) FROM profilemesh_runs WHERE dataset_name = :name", name=name)
        assert facts(world.page(f"/tables/{name}"))["Runs"].whole == count
        assert world.api(f"/api/tables/{name}/metrics")["total_runs"] == count
