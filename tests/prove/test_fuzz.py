"""What /openapi.json promises, a server process keeps: thousands of requests that schemathesis makes up from it.

Valid and invalid parameters, every boundary of every schema, and chains of requests along the links of the answers.
No answer is a 5xx, none has a status, a content type, a header or a field that is not described.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from profilemesh.storage.upgrade import upgrade
from tests.api.contract.conftest import opened
from tests.api.contract.world import NAMES, build
from tests.engine.ticks import write_duckdb
from tests.servers import Server, running
from tests.web import CONFIG, make_app

pytestmark = pytest.mark.prove

CASES = 2_500
"""On each storage: more than 5,000 in all."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
KNOWN = {
    "runs": ["o00", "o10", "both", "texts", "archived", "of5", "going", "n00"],
    "tables": ["orders", "stock", "sales", "ghosts", "web_events", "postings", *NAMES],
    "columns": ["total", "code", "amount", "id", *NAMES[:3]],
    "warehouses": ["shop", "duckdb", "clicks", "unknown", "odd"],
}
BOUND = {
    "path.run_id": "runs",
    "path.other": "runs",
    "path.table": "tables",
    "path.column": "columns",
    "query.table": "tables",
    "query.warehouse": "warehouses",
}


@pytest.fixture
def server(storage_url: str, tmp_path: Path) -> Iterator[Server]:
    """Over a seeded storage, beside a small warehouse in which plans and runs by hand find something."""
    upgrade(storage_url)
    with opened(make_app(storage_url)) as world:
        build(world)
    write_duckdb(tmp_path / "shop.duckdb", "CREATE TABLE orders AS SELECT range AS n FROM range(100)")
    config = tmp_path / "profilemesh.yml"
    config.write_text(CONFIG.format(url=storage_url, more=""))
    with running(storage_url, folder=tmp_path, PROFILEMESH_CONFIG=str(config)) as server:
        yield server


def settings() -> str:
    """Half of the names in a path are those of something; the file is TOML, whose texts are JSON's."""
    lists = [f"{name}.values = {json.dumps(values)}" for name, values in KNOWN.items()]
    bound = [f'"{place}" = {{dictionary = "{name}", probability = 0.5}}' for place, name in BOUND.items()]
    return "\n".join(["[dictionaries]", *lists, "[parameters]", *bound])


def fuzzed(server: Server, folder: Path, examples: int) -> dict[str, Any]:
    """The report of one run."""
    (folder / "schemathesis.toml").write_text(settings())
    words: list[Any] = [Path(sys.executable).parent / "st", "--config-file", folder / "schemathesis.toml", "run"]
    words += [f"{server.url}/openapi.json", "--checks", ",".join(CHECKS), "--max-examples", str(examples)]
    words += ["--generation-database", "none", "--continue-on-failure", "--no-color", "--request-timeout", "10"]
    words += ["--report", "json", "--report-json-path", folder / "report.json"]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=1800)
    assert (folder / "report.json").exists(), ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report | {"said": ran.stdout}


def test_the_description_is_kept(server: Server, tmp_path: Path) -> None:
    workers = server.workers()
    report = fuzzed(server, tmp_path, 150)
    cases, operations = report["test_cases"]["generated"], report["operations"]
    sys.stdout.write(
        f"{cases:,} requests to {operations['tested']} of {operations['total']} operations in "
        f"{report['running_time']:.0f} s: {len(report['failures'])} kinds of failures; seed {report['seed']}\n"
    )
    assert report["failures"] == report["errors"] == [], report["said"]
    assert report["complete"] and operations["tested"] == operations["total"]
    assert {name for name, phase in report["phases"].items() if phase["status"] == "success"} >= {
        "coverage",
        "fuzzing",
        "stateful",
    }
    assert cases >= CASES
    assert server.workers() == workers
