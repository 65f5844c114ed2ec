"""The commands as people and programs meet them: in a pipe, on a terminal, with mistakes."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tests.engine.storage.phase1 import LAYOUTS, make, rows_of

COMMAND = str(Path(sys.executable).parent / "profilemesh")
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
    assert run(folder, "db", "upgrade").returncode == 0
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "project"))


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROFILEMESH")}
    return subprocess.run(
        [COMMAND, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def run_on_terminal(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code and all that a terminal of 100 columns was shown."""
    leader, follower = pty.openpty()
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen([COMMAND, *words], cwd=folder, env=environ, stdout=follower, stderr=follower)
    os.close(follower)
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
    os.close(leader)
    return process.wait(10), shown.decode()


def change(folder: Path) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as shop:
        shop.execute("INSERT INTO orders VALUES (-1, 3)")


def test_profile_then_nothing_to_do_in_one_line(project: Path) -> None:
    first = run(project, "profile")
    assert first.returncode == 0
    assert first.stderr == ""
    assert "success shop.main.orders  1,000 rows" in first.stdout
    assert first.stdout.splitlines()[-1] == "2 tables profiled; 1,001 rows read."
    again = run(project, "profile")
    assert (again.returncode, again.stdout) == (0, "Nothing to do: 2 tables proved unchanged.\n")


def test_plan_says_why_and_writes_nothing(project: Path) -> None:
    before = (project / "profilemesh.db").read_bytes()
    shown = run(project, "plan").stdout
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
        found = json.loads(run(project, *words).stdout)
        assert found
    decisions = json.loads(run(project, "plan", "--json").stdout)["decisions"]
    assert {(d["table"], d["action"], d["reason"]) for d in decisions} == {
        ("orders", "skip", "snapshot_match"),
        ("odd [name]", "skip", "snapshot_match"),
    }


def test_a_changed_table_alone_can_be_asked_for(project: Path) -> None:
    run(project, "profile")
    change(project)
    outcomes = json.loads(run(project, "profile", "--table", "orders", "--json").stdout)["outcomes"]
    assert [(o["table"], o["status"], o["rows"]) for o in outcomes] == [("orders", "success", 1001)]


def configure(folder: Path, text: str) -> None:
    with (folder / "profilemesh.yml").open("a") as file:
        file.write(text)


def test_nothing_to_do_tells_the_proved_from_those_left_open_and_why(project: Path) -> None:
    run(project, "profile")
    assert run(project, "pause", "orders").stdout == "shop.main.orders is paused.\n"
    again = run(project, "profile")
    said = "Nothing to do: 1 table proved unchanged; 1 table left open (1 paused).\n"
    assert (again.returncode, again.stdout) == (0, said)
    assert run(project, "resume", "shop.main.orders").stdout == "shop.main.orders is taken up again.\n"
    assert "2 tables proved unchanged" in run(project, "plan").stdout


def test_a_limit_that_was_met_is_told_with_its_price(project: Path) -> None:
    configure(project, "profiling: {tables: [{table: orders}]}\n")
    text = (project / "profilemesh.yml").read_text()
    limits = "cost_controls: {max_rows_scanned: 300, fallback_strategy: defer}, "
    (project / "profilemesh.yml").write_text(text.replace("enabled: true, ", "enabled: true, " + limits, 1))
    done = run(project, "profile")
    assert (done.returncode, done.stdout) == (0, "Nothing to do: 1 table left open (1 over a limit).\n")
    assert "never profiled before; 1,000 rows, at most 300" in run(project, "plan").stdout


def test_a_part_that_was_read_is_told_against_the_whole(project: Path) -> None:
    configure(project, "profiling: {tables: [{table: orders, partition: {key: qty}}]}\n")
    text = (project / "profilemesh.yml").read_text()
    (project / "profilemesh.yml").write_text(text.replace("enabled: true, ", "enabled: true, " + PARTS, 1))
    run(project, "profile")
    change(project)
    assert "only some of its partitions changed: 1 changed of 7" in run(project, "plan").stdout
    report = json.loads(run(project, "profile", "--json").stdout)
    assert report["decisions"][0]["partitions_to_read"] == 1
    assert report["rows"] == {"read": 144, "spared_measured": 0, "spared_estimated": 857, "unpriced": 0}
    assert run(project, "decisions", "--limit", "1").stdout.count("partial") == 1


def test_decisions_are_told_newest_first_and_by_table(project: Path) -> None:
    assert "Nothing has been decided yet" in run(project, "decisions").stdout
    run(project, "profile")
    run(project, "profile")
    rows = json.loads(run(project, "decisions", "--table", "ord*", "--json").stdout)
    told = [(row["table_name"], row["action"], row["reason"], row["outcome"]) for row in rows]
    assert told == [("orders", "skip", "snapshot_match", None), ("orders", "full", "first_profile", "success")]


def test_status_tells_staleness_and_what_is_paused_since(project: Path) -> None:
    run(project, "profile")
    run(project, "pause", "orders")
    assert "full, paused since" in run(project, "status").stdout
    found = {row["table"]: row for row in json.loads(run(project, "status", "--json").stdout)}
    assert found["orders"]["paused_at"] and not found["odd [name]"]["paused_at"]
    assert found["orders"]["staleness_score"] == 0


def test_a_running_scan_is_cancelled_from_another_process(project: Path) -> None:
    with duckdb.connect(str(project / "shop.duckdb")) as shop:
        shop.execute("CREATE VIEW slow AS SELECT count(*) AS n FROM range(100000000000) r(i) WHERE hash(i) % 7 = 1")
    assert run(project, "cancel", "slow").stdout == "shop.main.slow is not being read.\n"
    process = subprocess.Popen([COMMAND, "profile", "--table", "slow"], cwd=project, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while "asked to stop" not in run(project, "cancel", "slow").stdout and time.monotonic() < deadline:
        time.sleep(0.1)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "cancelled by hand" in said


def test_full_reads_what_did_not_change(project: Path) -> None:
    run(project, "profile")
    assert "2 tables profiled" in run(project, "profile", "--full").stdout


def test_a_terminal_gets_colour_and_progress_and_the_same_facts(project: Path) -> None:
    code, shown = run_on_terminal(project, "profile")
    assert code == 0
    assert "\x1b[" in shown
    assert "Tables" in shown
    assert "2 tables profiled; 1,001 rows read." in shown
    code, shown = run_on_terminal(project, "status")
    assert code == 0
    assert "odd [name]" in shown


def test_status_of_nothing_says_what_to_do(project: Path) -> None:
    assert run(project, "status").stdout == "Nothing has been profiled yet: run `profilemesh profile`.\n"


def test_check_fails_with_a_remedy_when_a_warehouse_is_gone(project: Path) -> None:
    assert run(project, "check").returncode == 0
    (project / "shop.duckdb").unlink()
    gone = run(project, "check")
    assert gone.returncode == 1
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
    done = run(project, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_configuration_ends_with_2_and_the_line(project: Path) -> None:
    (project / "profilemesh.yml").write_text("warehouses:\n  shop: {type: duckdb, filepth: shop.duckdb}\n")
    done = run(project, "plan")
    assert done.returncode == 2
    assert "profilemesh.yml:2" in done.stderr
    assert "filepath" in done.stderr


def test_without_a_storage_the_command_that_makes_it_is_told(project: Path) -> None:
    (project / "profilemesh.db").unlink()
    done = run(project, "profile")
    assert (done.returncode, done.stdout) == (2, "")
    assert "profilemesh db upgrade" in done.stderr


def test_dotenv_beside_the_caller_is_read(project: Path) -> None:
    (project / ".env").write_text(f"PROFILEMESH_DB_URL=sqlite:///{project}/other.db\n")
    assert run(project, "db", "upgrade").returncode == 0
    assert (project / "other.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_mid_scan_leaves_nothing_half_done(project: Path, number: signal.Signals) -> None:
    with duckdb.connect(str(project / "shop.duckdb")) as shop:
        shop.execute("CREATE VIEW slow AS SELECT count(*) AS n FROM range(100000000000) r(i) WHERE hash(i) % 7 = 1")
    process = subprocess.Popen([COMMAND, "profile", "--table", "slow"], cwd=project, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not json.loads(run(project, "status", "--json").stdout) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped" in said
    [standing] = json.loads(run(project, "status", "--json").stdout)
    assert standing["last_status"] == "failed"
    assert standing["last_profiled_at"] is None
    assert "success" in run(project, "profile", "--table", "orders").stdout


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
    done = run(tmp_path, "db", "upgrade")
    assert done.returncode == 0, done.stderr
    assert f"which tell of the warehouse {warehouse}." in done.stdout
    assert "(before: ProfileMesh Phase 1)" in done.stdout
    planned = json.loads(run(tmp_path, "plan", "--json").stdout)
    reasons = {d["table"]: (d["action"], d["reason"]) for d in planned["decisions"] if d["table"] == "orders"}
    assert reasons == {"orders": ("full", "first_profile")}
    assert run(tmp_path, "profile").returncode == 0
    assert run(tmp_path, "status").returncode == 0
