"""Where the output of commands goes: nothing steers the terminal, nothing but a plain file is replaced, and a full disk
is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from profilemesh.storage import open_storage
from tests.commands import COMMAND, called, clean
from tests.factories import add_run, number_metrics

NAME = "a\x1b]0;title\x07\nb\u202ec[red]"
SHOWN = r"shop.main.a\x1b]0;title\x07\nb\u202ec[red]"


@pytest.fixture(scope="module")
def folder(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("output")
    shutil.copy(empty_storage, found / "profilemesh.db")
    (found / "profilemesh.yml").write_text("warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}\n")
    storage = open_storage(f"sqlite:///{found / 'profilemesh.db'}")
    with storage.begin() as session:
        for _ in range(2):
            add_run(session, NAME, columns={(NAME, "DOUBLE\x1b[2J"): number_metrics(10)}, rows=10)
    storage.close()
    return found


@pytest.mark.parametrize("words", ["tables", "show", "compare"])
def test_names_of_a_warehouse_do_not_steer_the_terminal(folder: Path, words: str) -> None:
    said = called(folder, *([words] if words == "tables" else [words, NAME])).stdout
    assert SHOWN in said.replace(" ", "") or words == "tables"
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


def test_neither_do_errors(folder: Path) -> None:
    done = called(folder, "compare", "no\x1b[31m")
    assert done.code == 2 and "\x1b" not in done.stderr


@pytest.mark.parametrize("words", [("tables",), ("tables", "--json"), ("export", "runs"), ("--help",)], ids=" ".join)
def test_a_full_disk_under_the_output_is_told_in_a_line(folder: Path, words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, *words], cwd=folder, env=clean(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_a_pipe_is_written_to_and_stays(folder: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert called(folder, "export", "runs", "-o", str(pipe)).code == 0
    reader.join(10)
    assert pipe.is_fifo() and read[0].startswith("run_id,") and read[0].count("shop") == 2
    assert called(folder, "init", "duckdb:///shop.duckdb", "-o", str(pipe), "--force").code != 0 and pipe.is_fifo()


def test_what_a_link_leads_to_is_replaced_and_not_the_link(folder: Path, tmp_path: Path) -> None:
    file, link = tmp_path / "runs.csv", tmp_path / "link.csv"
    link.symlink_to(file)
    assert called(folder, "export", "runs", "-o", str(link)).code == 0
    assert link.is_symlink() and file.read_text().startswith("run_id,")
