"""The commands as people and programs meet them: in a pipe, on a terminal, with mistakes."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.commands import COMMAND, called, on_terminal, piped
from tests.engine.storage.phase1 import LAYOUTS, make, rows_of

CONFIG = """
warehouses:
  shop: {type: duckdb, filepath: shop.duckdb}
incremental: {enabled: true, adaptive_scheduling: {enabled: false}}
"""
PARTS = "partial_profiling: {min_rows: 1}, "


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, a warehouse of two tables and an empty storage."""
    folder = tmp_path_factory.mktemp("template")
    with duckdb.connect(str(folder / "shop.duckdb")) as shop:
        shop.execute("CREATE TABLE orders AS SELECT i AS id, i % 7 AS qty FROM range(1000) r(i)")
        shop.execute("CREATE TABLE \"odd [name]\" AS SELECT 'x' AS a")
    (folder / "profilemesh.yml").write_text(CONFIG)
    assert called(folder, "db", "upgrade").code == 0
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "project"))


def change(folder: Path) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as shop:
        shop.execute("INSERT INTO orders VALUES (-1, 3)")


def test_profile_then_nothing_to_do_in_one_line(project: Path) -> None:
    first = piped(project, "profile")
    assert first.code == 0
    assert first.stderr == ""
    assert "success shop.main.orders  1,000 rows" in first.stdout
    assert first.stdout.splitlines()[-1] == "2 tables profiled; 1,001 rows read."
    again = piped(project, "profile")
    assert (again.code, again.stdout) == (0, "Nothing to do: 2 tables proved unchanged.\n")


def test_what_another_program_replaced_is_counted_anew(project: Path) -> None:
    assert called(project, "profile").code == 0
    with closing(sqlite3.connect(project / "profilemesh.db")) as storage, storage:
        columns = ", ".join(row[1] for row in storage.execute("PRAGMA table_info(profilemesh_runs)"))
        for _ in range(3):
            # The row that goes away fires no trigger.
            storage.execute(f"INSERT OR REPLACE INTO profilemesh_runs SELECT {columns} FROM profilemesh_runs LIMIT 1")
    counted = {"runs": 2, "drift": 0, "drift_before": 0}
    assert json.loads(called(project, "db", "recount", "--json").stdout) == counted | {"runs_before": 5}
    told = called(project, "db", "recount").stdout
    assert told == "All was counted already: 2 runs (before: 2), 0 drift events (before: 0).\n"


def test_plan_says_why_and_writes_nothing(project: Path) -> None:
    before = (project / "profilemesh.db").read_bytes()
    shown = called(project, "plan").stdout
    assert "never profiled before" in shown
    assert "2 tables to read (about 1,001 rows)." in shown
    assert (project / "profilemesh.db").read_bytes() == before


def test_json_is_json_before_and_after_the_command(project: Path) -> None:
    for words in (
        ("--json", "plan"),
        ("plan", "--json"),
        ("profile", "--json"),
        ("status", "--json"),
        ("check", "--json"),
    ):
        found = json.loads(called(project, *words).stdout)
        assert found
    decisions = json.loads(called(project, "plan", "--json").stdout)["decisions"]
    assert {(d["table"], d["action"], d["reason"]) for d in decisions} == {
        ("orders", "skip", "snapshot_match"),
        ("odd [name]", "skip", "snapshot_match"),
    }


def test_a_changed_table_alone_can_be_asked_for(project: Path) -> None:
    called(project, "profile")
    change(project)
    outcomes = json.loads(called(project, "profile", "--table", "orders", "--json").stdout)["outcomes"]
    assert [(o["table"], o["status"], o["rows"]) for o in outcomes] == [("orders", "success", 1001)]


def configure(folder: Path, text: str) -> None:
    with (folder / "profilemesh.yml").open("a") as file:
        file.write(text)


def test_nothing_to_do_tells_the_proved_from_those_left_open_and_why(project: Path) -> None:
    called(project, "profile")
    assert called(project, "pause", "orders").stdout == "shop.main.orders is paused.\n"
    again = called(project, "profile")
    said = "Nothing to do: 1 table proved unchanged; 1 table left open (1 paused).\n"
    assert (again.code, again.stdout) == (0, said)
    assert called(project, "resume", "shop.main.orders").stdout == "shop.main.orders is taken up again.\n"
    assert "2 tables proved unchanged" in called(project, "plan").stdout


def test_a_limit_that_was_met_is_told_with_its_price(project: Path) -> None:
    configure(project, "profiling: {tables: [{table: orders}]}\n")
    text = (project / "profilemesh.yml").read_text()
    limits = "cost_controls: {max_rows_scanned: 300, fallback_strategy: defer}, "
    (project / "profilemesh.yml").write_text(text.replace("enabled: true, ", "enabled: true, " + limits, 1))
    done = called(project, "profile")
    assert (done.code, done.stdout) == (0, "Nothing to do: 1 table left open (1 over a limit).\n")
    assert "never profiled before; 1,000 rows, at most 300" in called(project, "plan").stdout


def test_a_part_that_was_read_is_told_against_the_whole(project: Path) -> None:
    configure(project, "profiling: {tables: [{table: orders, partition: {key: qty}}]}\n")
    text = (project / "profilemesh.yml").read_text()
    (project / "profilemesh.yml").write_text(text.replace("enabled: true, ", "enabled: true, " + PARTS, 1))
    called(project, "profile")
    change(project)
    assert "only some of its partitions changed: 1 changed of 7" in called(project, "plan").stdout
    report = json.loads(called(project, "profile", "--json").stdout)
    assert report["decisions"][0]["partitions_to_read"] == 1
    assert report["rows"] == {"read": 144, "spared_measured": 0, "spared_estimated": 857, "unpriced": 0}
    assert called(project, "decisions", "--limit", "1").stdout.count("partial") == 1


def test_decisions_are_told_newest_first_and_by_table(project: Path) -> None:
    assert "Nothing has been decided yet" in called(project, "decisions").stdout
    called(project, "profile")
    called(project, "profile")
    rows = json.loads(called(project, "decisions", "--table", "ord*", "--json").stdout)
    told = [(row["table_name"], row["action"], row["reason"], row["outcome"]) for row in rows]
    assert told == [("orders", "skip", "snapshot_match", None), ("orders", "full", "first_profile", "success")]


def test_status_tells_staleness_and_what_is_paused_since(project: Path) -> None:
    called(project, "profile")
    called(project, "pause", "orders")
    assert "full, paused since" in called(project, "status").stdout
    found = {row["table"]: row for row in json.loads(called(project, "status", "--json").stdout)}
    assert found["orders"]["paused_at"] and not found["odd [name]"]["paused_at"]
    assert found["orders"]["staleness_score"] == 0


def test_a_running_scan_is_cancelled_from_another_process(project: Path) -> None:
    with duckdb.connect(str(project / "shop.duckdb")) as shop:
        shop.execute("CREATE VIEW slow AS SELECT count(*) AS n FROM range(100000000000) r(i) WHERE hash(i) % 7 = 1")
    assert called(project, "cancel", "slow").stdout == "shop.main.slow is not being read.\n"
    process = subprocess.Popen([COMMAND, "profile", "--table", "slow"], cwd=project, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while "asked to stop" not in called(project, "cancel", "slow").stdout and time.monotonic() < deadline:
        time.sleep(0.1)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "cancelled by hand" in said


def test_full_reads_what_did_not_change(project: Path) -> None:
    called(project, "profile")
    assert "2 tables profiled" in called(project, "profile", "--full").stdout


def test_a_terminal_gets_colour_and_progress_and_the_same_facts(project: Path) -> None:
    code, shown = on_terminal(project, "profile")
    assert code == 0
    assert "\x1b[" in shown
    assert "Tables" in shown
    assert "2 tables profiled; 1,001 rows read." in shown
    code, shown = on_terminal(project, "status")
    assert code == 0
    assert "odd [name]" in shown


def test_status_of_nothing_says_what_to_do(project: Path) -> None:
    assert called(project, "status").stdout == "Nothing has been profiled yet: run `profilemesh profile`.\n"


def test_check_fails_with_a_remedy_when_a_warehouse_is_gone(project: Path) -> None:
    assert called(project, "check").code == 0
    (project / "shop.duckdb").unlink()
    gone = called(project, "check")
    assert gone.code == 1
    assert "shop.duckdb" in gone.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-c", "nope.yml", "plan"), "nope.yml"),
        (("plna",), "No such command 'plna'"),
        (("profile", "--table", "ordres"), "'ordres' matches no table"),
        (("pause", "ordres"), "'ordres' matches no table; did you mean shop.main.orders?"),
        (("cancel", "zzz"), "'zzz' matches no table; `profilemesh plan` lists them all"),
    ],
)
def test_misuse_ends_with_2_and_names_itself(project: Path, words: tuple[str, ...], said: str) -> None:
    done = called(project, *words)
    assert done.code == 2
    assert said in done.stderr


def test_a_bad_configuration_ends_with_2_and_the_line(project: Path) -> None:
    (project / "profilemesh.yml").write_text("warehouses:\n  shop: {type: duckdb, filepth: shop.duckdb}\n")
    done = called(project, "plan")
    assert done.code == 2
    assert "profilemesh.yml:2" in done.stderr
    assert "filepath" in done.stderr


def test_without_a_storage_the_command_that_makes_it_is_told(project: Path) -> None:
    (project / "profilemesh.db").unlink()
    done = called(project, "profile")
    assert (done.code, done.stdout) == (2, "")
    assert "profilemesh db upgrade" in done.stderr


def test_dotenv_beside_the_caller_is_read(project: Path) -> None:
    (project / ".env").write_text(f"PROFILEMESH_DB_URL=sqlite:///{project}/other.db\n")
    assert piped(project, "db", "upgrade").code == 0
    assert (project / "other.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_mid_scan_leaves_nothing_half_done(project: Path, number: signal.Signals) -> None:
    with duckdb.connect(str(project / "shop.duckdb")) as shop:
        shop.execute("CREATE VIEW slow AS SELECT count(*) AS n FROM range(100000000000) r(i) WHERE hash(i) % 7 = 1")
    process = subprocess.Popen([COMMAND, "profile", "--table", "slow"], cwd=project, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not json.loads(called(project, "status", "--json").stdout) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped" in said
    [standing] = json.loads(called(project, "status", "--json").stdout)
    assert standing["last_status"] == "failed"
    assert standing["last_profiled_at"] is None
    assert "success" in called(project, "profile", "--table", "orders").stdout


@pytest.mark.parametrize("command", ["decisions", "drift"])
def test_a_limit_that_no_database_counts_to_is_refused(project: Path, command: str) -> None:
    done = called(project, command, "--limit", str(10**20))
    assert (done.code, "is not in the range" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("config", "warehouse"),
    [("source: {name: shop, type: duckdb, filepath: shop.duckdb}", "shop"), (CONFIG, "unknown")],
)
def test_a_database_of_the_first_profilemesh_is_adopted_for_the_configured_source(
    template: Path, tmp_path: Path, config: str, warehouse: str
) -> None:
    shutil.copy(template / "shop.duckdb", tmp_path)
    (tmp_path / "profilemesh.yml").write_text(config)
    tables = {name: rows for name, rows in rows_of(LAYOUTS["later"]).items() if name != "profilemesh_results"}
    for state in tables["profilemesh_table_state"]:
        state["schema_name"] = "main"
    make(f"sqlite:///{tmp_path / 'profilemesh.db'}", LAYOUTS["later"], tables)
    done = called(tmp_path, "db", "upgrade")
    assert done.code == 0, done.stderr
    assert f"which tell of the warehouse {warehouse}." in done.stdout
    assert "(before: ProfileMesh Phase 1)" in done.stdout
    planned = json.loads(called(tmp_path, "plan", "--json").stdout)
    reasons = {d["table"]: (d["action"], d["reason"]) for d in planned["decisions"] if d["table"] == "orders"}
    assert reasons == {"orders": ("full", "first_profile")}
    assert called(tmp_path, "profile").code == 0
    assert called(tmp_path, "status").code == 0
