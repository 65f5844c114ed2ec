import json

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.schemas.runs import RunDetailSchema
from tests.factories import NOW, add_run, bell, number_metrics, shares, text_metrics, top


def columns_of(client: FlaskClient, run_id: str = "r1") -> dict[str, dict]:
    return {column["column_name"]: column for column in client.get(f"/api/runs/{run_id}").json["columns"]}


def test_a_run_is_shown_with_the_profile_of_every_column(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", rows=1000)
    session.commit()
    run = client.get("/api/runs/r1").json
    assert RunDetailSchema().validate(run) == {}
    assert (run["run_id"], run["dataset_name"], run["row_count"], run["column_count"]) == ("r1", "orders", 1000, 7)
    assert [column["column_name"] for column in run["columns"]][:3] == ["order_id", "ordered_at", "total"]
    total = run["columns"][2]
    assert (total["null_count"], total["null_percent"], total["mean"]) == (1, 0.1, pytest.approx(3924.96))
    assert total["histogram"][0].keys() == {"bin_start", "bin_end", "count"}
    assert total["metrics"]["median"] == pytest.approx(3728.712)


def test_min_and_max_are_numbers_only_where_the_column_is_one(client: FlaskClient, session: Session) -> None:
    columns = {
        ("code", "VARCHAR"): text_metrics(9, low="00123", high="9"),
        ("n", "BIGINT"): number_metrics(9, low=1, high=9),
        ("old", "numeric(10,2)"): {"count": 9, "min": "12.0", "max": "1e+16"},
        ("day", "DATE"): {"count": 9, "min": "2024-01-01", "max": "2024-12-31"},
        ("flag", "INTEGRITY"): {"count": 9, "min": "1", "max": "2"},
    }
    add_run(session, run_id="r1", columns=columns)
    session.commit()
    found = {name: (column["min_value"], column["max_value"]) for name, column in columns_of(client).items()}
    assert found == {
        "code": ("00123", "9"),
        "n": (1, 9),
        "old": (12.0, 1e16),
        "day": ("2024-01-01", "2024-12-31"),
        "flag": ("1", "2"),
    }


def test_what_is_unknown_is_null(client: FlaskClient, session: Session) -> None:
    columns = {
        ("x", "DOUBLE"): {"count": 2, "null_count": "None", "mean": "nan", "stddev": "inf", "min": "None"},
        ("y", "VARCHAR"): {**shares(2, 2, 0), "min": "None", "max": None, "histogram": "not json"},
    }
    add_run(session, run_id="r1", columns=columns)
    session.commit()
    found = columns_of(client)
    for name in ("null_count", "null_percent", "distinct_count", "mean", "stddev", "min_value", "histogram"):
        assert found["x"][name] is None
    assert (found["y"]["min_value"], found["y"]["histogram"], found["y"]["null_percent"]) == (None, None, 100)


def test_lists_never_hold_what_is_no_number(client: FlaskClient, session: Session) -> None:
    broken = json.dumps([*bell(2), {"bin_start": float("nan"), "bin_end": 3, "count": 1}])
    columns = {("x", "DOUBLE"): number_metrics(9, histogram=broken, top_values=top(("1.5", 9)))}
    add_run(session, run_id="r1", columns=columns, scope_detail={"ratio": float("inf")})
    session.commit()
    answer = client.get("/api/runs/r1")
    assert b"NaN" not in answer.data and b"Infinity" not in answer.data
    assert answer.json["columns"][0]["histogram"] is None
    assert answer.json["columns"][0]["metrics"]["top_values"] == [{"value": "1.5", "count": 9}]


def test_integers_beyond_64_bits_do_not_break_the_answer(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", columns={("x", "HUGEINT"): number_metrics(9, low=-5, high=10**40)})
    session.commit()
    assert columns_of(client)["x"]["max_value"] == 1e40


def test_a_failed_run_tells_its_error_and_nulls(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", status="failed", error="no such table")
    session.commit()
    run = client.get("/api/runs/r1").json
    assert (run["row_count"], run["columns"], run["metadata"]["error"]) == (None, [], "no such table")


def test_an_old_run_without_a_row_count_takes_it_from_its_columns(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", rows=None, columns={("x", "INT"): {"count": "41.0"}, ("y", "INT"): {"count": 42}})
    session.commit()
    assert client.get("/api/runs/r1").json["row_count"] == 42


def test_metadata_tells_how_the_numbers_came_about(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", rows=9, column_errors={"x": "boom"}, plan_id="p1")
    session.commit()
    told = client.get("/api/runs/r1").json["metadata"]
    assert told["as_of"] == NOW.isoformat()
    wanted = {
        "scope": "full",
        "action": "full",
        "reason": "snapshot_changed",
        "rows_scanned": 9,
        "statements": 1,
        "column_errors": {"x": "boom"},
        "strategy": "pushdown",
        "error": None,
        "plan_id": "p1",
        "tables": ["orders"],
    }
    assert {name: told[name] for name in wanted} == wanted


def test_a_run_over_several_tables_is_told_apart_by_table(client: FlaskClient, session: Session) -> None:
    add_run(session, "a", run_id="r1", columns={("x", "INT"): number_metrics(1)})
    add_run(session, "b", run_id="r1", columns={("y", "INT"): number_metrics(2)})
    session.commit()
    assert client.get("/api/runs/r1").json["metadata"]["tables"] == ["a", "b"]
    chosen = client.get("/api/runs/r1?table=b").json
    assert (chosen["dataset_name"], [c["column_name"] for c in chosen["columns"]]) == ("b", ["y"])
    assert client.get("/api/runs/r1?table=c").status_code == 404
    assert client.get("/api/runs/r1?schema=other").status_code == 404


@pytest.mark.parametrize("run_id", ["nope", "a%00b", "%F0%9F%92%A9", "..%5C"])
def test_an_unknown_run_is_a_404_in_json(client: FlaskClient, run_id: str) -> None:
    answer = client.get(f"/api/runs/{run_id}")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["detail"].startswith("Run ") and answer.json["detail"].endswith(" not found")
