"""Every command on a real terminal and in a pipe, over one small project that has a history."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from profilemesh.cli.commands import COMMANDS
from tests.commands import Preloaded, called
from tests.engine.loads import Calm, table, tick
from tests.engine.ticks import copied

CONFIG = """
warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}
incremental: {enabled: true, adaptive_scheduling: {enabled: false}}
alerts: {routes: [{name: team, to: "json://127.0.0.1:9"}]}
"""
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@pytest.fixture(scope="module")
def history(empty_storage: Path, calm: Calm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five calm days of two tables, and one on which addresses were lost."""
    project = copied(empty_storage, tmp_path_factory.mktemp("history"))
    calm(project, "orders", "others")
    tick(project, 5, table("orders", one_in=5), table("others"))
    (project.folder / "profilemesh.yml").write_text(CONFIG)
    return project.folder


@pytest.fixture(scope="module")
def commands() -> Iterator[Preloaded]:
    preloaded = Preloaded()
    yield preloaded
    preloaded.stop()


@dataclass(frozen=True)
class Shown:
    """A command, what of it stands on a terminal and in a pipe, and its exit code."""

    words: tuple[str, ...]
    said: str
    code: int = 0


EVERY = [
    Shown(("plan",), "2 tables to read (about 8,000 rows)."),
    Shown(("profile",), "2 tables profiled; 8,000 rows read."),
    Shown(("cancel", "orders"), "shop.main.orders is not being read."),
    Shown(("pause", "others"), "shop.main.others is paused."),
    Shown(("resume", "others"), "shop.main.others is taken up again."),
    Shown(("status",), "shop.main.orders"),
    Shown(("tables", "--drifting"), "◆ high"),
    Shown(("show", "orders"), "null share of orders.email rose from"),
    Shown(("compare", "orders"), "Null share"),
    Shown(("decisions", "--table", "orders"), "its data may have changed"),
    Shown(("drift", "--exit-code"), "null share of orders.email rose", 3),
    Shown(("export", "runs", "--table", "orders"), "run_id,dataset_name,schema_name,warehouse"),
    Shown(("export", "drift"), "email,null_percent"),
    Shown(("alerts", "status"), "team"),
    Shown(("alerts", "deliver"), "Nothing to send."),
    Shown(("alerts", "test", "team"), "failed", 1),
    Shown(("schedule", "--print"), "*/15 * * * * cd "),
    Shown(("serve", "--port", "0"), "Invalid value for '--port'", 2),
    Shown(("init", "duckdb:///shop.duckdb", "-o", "new.yml", "--force"), "Wrote new.yml: shop, 2 tables."),
    Shown(("check",), "ok"),
    Shown(("db", "upgrade"), "The storage is up to date"),
    Shown(("db", "recount"), "All was counted already"),
    Shown(("completion", "zsh"), "#compdef profilemesh"),
]


@pytest.mark.parametrize("shown", EVERY, ids=lambda shown: "-".join(shown.words[:2]))
def test_on_a_terminal_it_shows_what_it_found_within_its_width(
    commands: Preloaded, history: Path, tmp_path: Path, shown: Shown
) -> None:
    folder = shutil.copytree(history, tmp_path / "project")
    code, text = commands.on_terminal(folder, *shown.words, columns=100)
    plain = CODES.sub("", text)
    assert (code, " ".join(shown.said.split()) in " ".join(plain.split())) == (shown.code, True), text
    assert "Traceback" not in text
    if shown.words[0] in ("plan", "status", "tables", "decisions", "drift"):
        assert max(map(len, plain.splitlines())) <= 100


@pytest.mark.parametrize("shown", EVERY, ids=lambda shown: "-".join(shown.words[:2]))
def test_in_a_pipe_it_says_the_same_without_a_colour(
    commands: Preloaded, history: Path, tmp_path: Path, shown: Shown
) -> None:
    folder = shutil.copytree(history, tmp_path / "project")
    done = commands.piped(folder, *shown.words)
    assert (done.code, shown.said in done.output) == (shown.code, True), done.output
    assert "\x1b" not in done.output and "Traceback" not in done.stderr


def test_every_command_is_shown_here() -> None:
    assert {shown.words[0] for shown in EVERY} == COMMANDS.keys()


def test_no_color_is_honoured_and_the_width_too(commands: Preloaded, history: Path) -> None:
    code, text = commands.on_terminal(history, "drift", columns=60, env={"NO_COLOR": "1"})
    assert code == 0 and "◆ high" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    assert max(len(CODES.sub("", line)) for line in text.splitlines()) <= 60


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("tables",),
        ("show", "orders"),
        ("compare", "orders"),
        ("drift", "--all"),
        ("decisions",),
        ("export", "runs"),
        ("export", "drift"),
        ("check",),
        ("plan",),
        ("alerts", "status"),
    ],
    ids="-".join,
)
def test_json_holds_the_keys_that_help_names(history: Path, words: tuple[str, ...]) -> None:
    found = json.loads(called(history, *words, "--json").stdout)
    told = called(history, *words[: 2 if words[0] in ("export", "alerts") else 1], "--help").stdout
    told = " ".join(told.partition("With --json:")[2].split())
    first = found[0] if isinstance(found, list) else found
    if words[0] == "check":
        first = first["shop"][0]
    assert first and [key for key in first if key not in told and words[0] not in ("decisions", "drift")] == []
