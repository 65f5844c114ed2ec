"""Where the output of commands goes: nothing steers the terminal, nothing but a plain file is replaced, and a full disk
is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from profilemesh.storage import open_storage
from tests.commands import COMMAND, called, clean, on_terminal, piped
from tests.factories import add_run, add_state, number_metrics

NAME = "a\x1b]0;title\x07\nb\u202ec[red]"
PLAIN_NAME = "größe"
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
        run = add_run(session, PLAIN_NAME, columns={}, rows=12_345_678)
        add_state(session, PLAIN_NAME, run=run)
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


LOCALE = {"PYTHONIOENCODING": "ascii"}


def test_a_locale_without_our_letters_shows_question_marks(folder: Path) -> None:
    done = piped(folder, "status", env=LOCALE)
    assert (done.code, done.stderr) == (0, "") and "?" in done.stdout


def test_json_is_utf_8_whatever_the_locale(folder: Path) -> None:
    assert PLAIN_NAME in [each["table"] for each in json.loads(piped(folder, "tables", "--json", env=LOCALE).stdout)]


@pytest.mark.parametrize("words", ["tables", "tables --json", "export runs", "nope"])
def test_nobody_listening_is_no_error(folder: Path, words: str) -> None:
    line = f"exec {COMMAND} {words} >&- 2>&-"
    done = subprocess.run(["sh", "-c", line], cwd=folder, env=clean(), check=False, timeout=60)
    assert done.returncode == (2 if words == "nope" else 0)


@pytest.mark.parametrize("columns", [1, 20, 45])
def test_on_a_narrow_terminal_no_number_is_cut_without_a_mark(folder: Path, columns: int) -> None:
    code, shown = on_terminal(folder, "tables", columns=columns)
    assert code == 0 and "12,345,678" in shown


@pytest.mark.parametrize("content", [b"\xff\xfe", b"A=\0b\n"])
def test_an_env_file_that_cannot_be_read_is_named(folder: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    done = called(tmp_path, "tables")
    assert (done.code, f"{tmp_path / '.env'}: this is no text" in done.stderr) == (2, True)


def test_a_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    line = f"cd gone && rmdir ../gone && exec {COMMAND} tables"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: the current directory is gone; change to another one\n")


def test_a_pipe_is_written_to_and_stays(folder: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert called(folder, "export", "runs", "-o", str(pipe)).code == 0
    reader.join(10)
    assert pipe.is_fifo() and read[0].startswith("run_id,") and read[0].count("shop") == 3
    assert called(folder, "init", "duckdb:///shop.duckdb", "-o", str(pipe), "--force").code != 0 and pipe.is_fifo()


def test_what_a_link_leads_to_is_replaced_and_not_the_link(folder: Path, tmp_path: Path) -> None:
    file, link = tmp_path / "runs.csv", tmp_path / "link.csv"
    link.symlink_to(file)
    assert called(folder, "export", "runs", "-o", str(link)).code == 0
    assert link.is_symlink() and file.read_text().startswith("run_id,")
