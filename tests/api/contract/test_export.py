import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as parquet
import pytest
from werkzeug.test import TestResponse

from profilemesh.storage.models import Run
from tests.api.contract.shapes import ALERT, RUN, all_misfits, moment, strict
from tests.api.contract.world import SEVERITIES, World
from tests.factories import NOW

FORMULAS = ("=1+1", "+1", "-1+1", "-x", "-1\n", "@sum", "\tx", "\rx", '=cmd|" /C calc"!A0')
TYPES = {
    "json": ("application/json",),
    "csv": ("text/csv; charset=utf-8",),
    "jsonl": ("application/x-ndjson", "application/jsonl", "application/x-ndjson; charset=utf-8"),
    "parquet": ("application/vnd.apache.parquet",),
}
FAR = {"days": 3650}


def exported(world: World, what: str, **query: Any) -> TestResponse:
    answer = world.get(f"/api/export/{what}", query)
    assert answer.status_code == 200, answer.text
    return answer


def rows_of(answer: TestResponse) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""))


def listed(world: World, what: str, **query: Any) -> Any:
    return world.json(f"/api/{what}", {"limit": 1000, **query})


@pytest.mark.parametrize("format_", list(TYPES))
@pytest.mark.parametrize("what", ["runs", "drift"])
def test_it_is_a_file_with_the_day_in_its_name(world: World, what: str, format_: str) -> None:
    answer = exported(world, what, format=format_)
    assert answer.content_type.lower() in TYPES[format_]
    name = f"profilemesh-{what}-{datetime.now(UTC):%Y-%m-%d}.{format_}"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert name in answer.headers["Content-Disposition"]
    assert "Content-Disposition" in answer.headers["Access-Control-Expose-Headers"]


def test_json_is_an_object_around_the_list(world: World) -> None:
    runs, drift = exported(world, "runs", **FAR), exported(world, "drift", **FAR)
    assert strict(runs.text) == {"runs": listed(world, "runs", **FAR)}
    assert strict(drift.text) == {"drift_alerts": listed(world, "drift", **FAR)}
    assert all_misfits(runs.json["runs"], RUN) == all_misfits(drift.json["drift_alerts"], ALERT) == []


@pytest.mark.parametrize("what", ["runs", "drift"])
def test_lines_are_the_same_objects(world: World, what: str) -> None:
    lines = exported(world, what, format="jsonl", **FAR).text.splitlines()
    assert [strict(line) for line in lines] == listed(world, what, **FAR)


@pytest.mark.parametrize(("what", "shape"), [("runs", RUN), ("drift", ALERT)])
def test_csv_has_the_same_rows_with_their_names_above(world: World, what: str, shape: dict[str, str]) -> None:
    found, wanted = list(rows_of(exported(world, what, format="csv", **FAR))), listed(world, what, **FAR)
    assert len(found) == len(wanted) and set(shape) <= set(found[0])
    for row, each in zip(found, wanted, strict=True):
        for name in shape:
            assert same_cell(row[name], each.get(name)), (name, row[name], each.get(name))


def same_cell(cell: str, value: Any) -> bool:
    if value is None:
        return cell == ""
    if isinstance(value, bool):
        return cell.lower() == str(value).lower()
    if isinstance(value, int | float):
        return float(cell) == value
    return cell == value or cell == f"'{value}" or (cell[:4].isdigit() and moment(cell) == moment(value))


@pytest.mark.parametrize(("what", "key"), [("runs", "run_id"), ("drift", "event_id")])
def test_parquet_has_the_same_rows_with_their_types(world: World, what: str, key: str) -> None:
    answer, wanted = exported(world, what, format="parquet", **FAR), listed(world, what, **FAR)
    table = parquet.read_table(io.BytesIO(answer.data))
    assert table.column(key).to_pylist() == [each[key] for each in wanted]
    at = "profiled_at" if what == "runs" else "timestamp"
    assert table.column(at).to_pylist() == [moment(each[at]) for each in wanted]
    number = "row_count" if what == "runs" else "change_percent"
    assert table.column(number).to_pylist() == [each.get(number) for each in wanted]


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("runs", {"warehouse": "postgres", "days": 90}),
        ("runs", {"warehouse": "shop", "days": 7}),
        ("runs", {"status": "failed", "days": 90}),
        ("runs", {"table": "orders", "schema": "archive", "days": 90}),
        ("runs", {"table": "nope"}),
        ("runs", {"q": "ORD", "drift": "true", "days": 90}),
        ("runs", {"scope": "full", "action": "full", "days": 90}),
        ("drift", {"table": "orders", "days": 7}),
        ("drift", {"warehouse": "unknown", "days": 90}),
        *[("drift", {"severity": severity, "days": 90}) for severity in SEVERITIES],
    ],
)
def test_every_filter_of_the_list_is_a_filter_of_the_export(world: World, what: str, query: dict[str, Any]) -> None:
    wanted = listed(world, what, **query)
    assert list(exported(world, what, **query).json.values()) == [wanted]
    assert len(list(rows_of(exported(world, what, format="csv", **query)))) == len(wanted)


def test_thirty_days_unless_asked_otherwise(world: World) -> None:
    assert exported(world, "runs").json == {"runs": listed(world, "runs", days=30)}


def test_a_page_does_not_apply(world: World) -> None:
    assert exported(world, "runs", limit=1, offset=5).data == exported(world, "runs").data


@pytest.mark.parametrize("format_", list(TYPES))
def test_nothing_to_export_is_an_empty_file_of_its_kind(small: World, format_: str) -> None:
    answer = exported(small, "runs", format=format_)
    if format_ == "parquet":
        assert parquet.read_table(io.BytesIO(answer.data)).num_rows == 0
    else:
        empty = {"json": r'\{"runs": ?\[\]\}', "jsonl": "", "csv": "[a-z_,]*run_id[a-z_,]*"}
        assert re.fullmatch(empty[format_], answer.text.strip())


def test_no_row_is_left_out_of_a_long_one(small: World) -> None:
    rows = [
        {
            "run_id": f"r{i:04}",
            "dataset_name": "t",
            "status": "success",
            "profiled_at": NOW - timedelta(minutes=i // 3),
            "row_count": i,
        }
        for i in range(2500)
    ]
    small.session.execute(Run.__table__.insert(), rows)
    small.session.commit()
    wanted = {row["run_id"] for row in rows}
    found = {
        "json": [run["run_id"] for run in exported(small, "runs").json["runs"]],
        "csv": [run["run_id"] for run in rows_of(exported(small, "runs", format="csv"))],
        "jsonl": [strict(line)["run_id"] for line in exported(small, "runs", format="jsonl").text.splitlines()],
        "parquet": parquet.read_table(io.BytesIO(exported(small, "runs", format="parquet").data))["run_id"].to_pylist(),
    }
    for format_, ids in found.items():
        assert set(ids) == wanted and len(ids) == 2500, format_
    assert found["csv"] == found["json"] == found["jsonl"] == found["parquet"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_made_harmless_for_spreadsheets_alone(small: World, text: str) -> None:
    small.drift(small.run("r", text, rows=7), column=text, change=-5.5)
    small.session.commit()
    (run,), (alert,) = (list(rows_of(exported(small, what, format="csv"))) for what in ("runs", "drift"))
    assert (run["dataset_name"], alert["table_name"], alert["column_name"]) == (f"'{text}",) * 3
    assert float(alert["change_percent"]) == -5.5 and run["row_count"] == "7"
    assert exported(small, "runs").json["runs"][0]["dataset_name"] == text
    assert strict(exported(small, "runs", format="jsonl").text)["dataset_name"] == text
    table = parquet.read_table(io.BytesIO(exported(small, "runs", format="parquet").data))
    assert table["dataset_name"].to_pylist() == [text]


@pytest.mark.parametrize("text", ['a"b', "a,b", "a\nb", "a\r\nb", "ünï שלום 表 😀", "'quoted", " padded "])
def test_any_text_comes_back_as_it_was(small: World, text: str) -> None:
    small.run("r", text)
    small.session.commit()
    (run,) = rows_of(exported(small, "runs", format="csv"))
    assert run["dataset_name"] == text


def test_the_columns_stand_in_one_order(world: World) -> None:
    headers = {
        exported(world, "runs", format="csv", **query).data.splitlines()[0] for query in (FAR, {"table": "nope"})
    }
    assert len(headers) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("format=xml", "format"),
        ("format=CSV%00", "format"),
        ("days=abc", "days"),
        ("days=", "days"),
        ("table=%00", "table"),
    ],
)
@pytest.mark.parametrize("what", ["runs", "drift"])
def test_bad_parameters_are_refused_before_anything_is_sent(world: World, what: str, query: str, field: str) -> None:
    answer = world.get(f"/api/export/{what}", query)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert list(answer.json["errors"]) == [field] and "Content-Disposition" not in answer.headers


def test_an_unknown_status_or_severity_is_refused(world: World) -> None:
    assert list(world.get("/api/export/runs", "status=sucess").json["errors"]) == ["status"]
    assert list(world.get("/api/export/drift", "severity=critical").json["errors"]) == ["severity"]
