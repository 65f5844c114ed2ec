"""What holds for every endpoint: origins, errors, strict JSON, times, methods, slashes, bad parameters."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from tests.api.contract.conftest import opened
from tests.api.contract.shapes import is_time, strict, times
from tests.api.contract.world import World
from tests.web import ORIGIN, make_app

# What is refused, or said of any answer, before the storage is asked: one of the two is enough.
ON_SQLITE = pytest.mark.parametrize("world", ["sqlite"], indirect=True)
EXPOSED = {"X-Total-Count", "Link", "ETag", "Content-Disposition", "Retry-After"}
LISTS = ("/api/runs", "/api/drift", "/api/tables")
EXPORTS = ("/api/export/runs", "/api/export/drift")
METRICS, COLUMN = "/api/tables/orders/metrics", "/api/tables/orders/columns/total/metrics"
STORED = (
    *LISTS,
    *EXPORTS,
    METRICS,
    COLUMN,
    "/api/dashboard/metrics",
    "/api/warehouses",
    "/api/runs/o00",
    "/api/runs/o10/compare/o00",
    "/api/search?q=o",
    "/api/tables/orders/state",
    "/api/decisions",
    "/api/ticks",
)
"""Answered from the storage."""
HEALTH = ("/health/live", "/health/ready")
MISSING = (
    "/api/nope",
    "/api",
    "/api/runs/nope",
    "/api/tables/nope/metrics",
    "/api/tables/orders/columns/nope/metrics",
    "/api/runs/nope/compare/o00",
    "/api/export/nope",
)
TEXTS = {
    "/api/runs": ("warehouse", "schema", "table", "status"),
    "/api/drift": ("warehouse", "table", "severity"),
    "/api/tables": ("warehouse", "schema", "q"),
    "/api/export/runs": ("warehouse", "schema", "table", "status", "format"),
    "/api/export/drift": ("warehouse", "table", "severity", "format"),
    "/api/dashboard/metrics": ("warehouse",),
    METRICS: ("schema", "warehouse"),
    COLUMN: ("schema", "warehouse", "metric"),
    "/api/runs/o00": ("table", "schema"),
    "/api/runs/o10/compare/o00": ("table", "schema"),
}
NO_NUMBER = ("abc", "", "1.5", "1e2", "1_0", "0x10", "١", "NaN", "--1", "1;2", "9" * 30)
NUMBERS = {
    "days": (*NO_NUMBER, "0", "-1", "3651", "9999999999"),
    "limit": (*NO_NUMBER, "0", "-1", "1001"),
    "offset": (*NO_NUMBER, "-1", "10000001"),
}
WITH_DAYS = ("/api/runs", "/api/drift", *EXPORTS, "/api/dashboard/metrics", COLUMN)


def is_problem(answer: TestResponse, status: int) -> bool:
    problem = strict(answer.text)
    return (
        answer.status_code == problem["status"] == status
        and answer.content_type == "application/problem+json"
        and {"type", "title", "status", "detail"} <= set(problem)
        and all(isinstance(problem[name], str) and problem[name] for name in ("type", "title", "detail"))
    )


def is_readable(answer: TestResponse) -> bool:
    """By a page of an allowed origin, headers included."""
    exposed = set(answer.headers.get("Access-Control-Expose-Headers", "").split(", "))
    allowed = answer.headers.get("Access-Control-Allow-Origin") == ORIGIN
    return allowed and exposed >= EXPOSED and "Origin" in answer.headers.get("Vary", "")


def refused(world: World, path: str, query: str) -> list[str]:
    answer = world.get(path, query)
    assert is_problem(answer, 422) and is_readable(answer), (path, query, answer.status_code)
    assert all(isinstance(said, list) and said for said in answer.json["errors"].values())
    return list(answer.json["errors"])


@pytest.mark.parametrize("path", [*STORED, *HEALTH, "/"])
def test_every_answer_is_strict_json_that_the_page_may_read(world: World, path: str) -> None:
    answer = world.get(path)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert is_readable(answer)
    assert all(is_time(time) for time in times(strict(answer.text)))


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_a_problem_that_the_page_may_read(world: World, path: str) -> None:
    answer = world.get(path)
    assert is_problem(answer, 404) and is_readable(answer)


@ON_SQLITE
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [*STORED, *HEALTH])
def test_another_method_is_refused_with_those_allowed(world: World, path: str, method: str) -> None:
    answer = world.client.open(path, method=method, headers={"Origin": ORIGIN})
    assert is_problem(answer, 405) and is_readable(answer)
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


@ON_SQLITE
@pytest.mark.parametrize("path", [*STORED, *HEALTH, "/"])
def test_heads_are_those_of_the_answer(world: World, path: str) -> None:
    head, whole = world.client.head(path), world.client.get(path)
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Type", "X-Total-Count", "Link", "Vary", "ETag", "Content-Disposition"):
        assert head.headers.get(name) == whole.headers.get(name), name


@ON_SQLITE
@pytest.mark.parametrize("path", [*STORED, *HEALTH, *MISSING])
def test_a_preflight_is_answered(world: World, path: str) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "If-None-Match",
    }
    answer = world.client.options(path, headers=asked)
    if path not in MISSING:
        assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "if-none-match" in answer.headers["Access-Control-Allow-Headers"].lower()


@ON_SQLITE
@pytest.mark.parametrize("path", [*STORED, *HEALTH])
def test_other_origins_may_not_read(world: World, path: str) -> None:
    answer = world.client.get(path, headers={"Origin": "https://evil.example.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers


@ON_SQLITE
@pytest.mark.parametrize("path", STORED)
def test_a_slash_at_the_end_leads_to_the_same_without(world: World, path: str) -> None:
    plain, _, query = path.partition("?")
    answer = world.get(f"{plain}/", query or "days=7&table=%C3%BC")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{plain}?{query or 'days=7&table=%C3%BC'}")
    assert is_readable(answer)


@ON_SQLITE
@pytest.mark.parametrize("path", STORED)
def test_strange_parameters_are_ignored(world: World, path: str) -> None:
    query = path.partition("?")[2]
    strange = world.get(path.partition("?")[0], f"{query}&colour=blue&_=1&page=x&%00=1&%FF=%FF")
    assert (strange.status_code, strange.data) == (200, world.get(path).data)


@ON_SQLITE
@pytest.mark.parametrize("value", NUMBERS["days"])
@pytest.mark.parametrize("path", WITH_DAYS)
def test_bad_days_are_refused(world: World, path: str, value: str) -> None:
    assert refused(world, path, f"days={quote(value)}") == ["days"]


@ON_SQLITE
@pytest.mark.parametrize("value", NUMBERS["limit"])
@pytest.mark.parametrize("path", [*LISTS, COLUMN])
def test_a_bad_limit_is_refused(world: World, path: str, value: str) -> None:
    assert refused(world, path, f"limit={quote(value)}") == ["limit"]


@ON_SQLITE
@pytest.mark.parametrize("value", NUMBERS["offset"])
@pytest.mark.parametrize("path", LISTS)
def test_a_bad_offset_is_refused(world: World, path: str, value: str) -> None:
    assert refused(world, path, f"offset={quote(value)}") == ["offset"]


@ON_SQLITE
@pytest.mark.parametrize(("path", "names"), TEXTS.items(), ids=TEXTS)
def test_a_nul_in_a_filter_is_refused(world: World, path: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert refused(world, path, f"{name}=a%00b") == [name]


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/api/runs", "status=sucess", "status"),
        ("/api/drift", "severity=critical", "severity"),
        ("/api/tables", "sort=colour", "sort"),
        ("/api/tables", "sort=--name", "sort"),
        ("/api/tables", "stale=maybe", "stale"),
        ("/api/tables", "failing=2", "failing"),
        ("/api/tables", "drifting=x", "drifting"),
        ("/api/export/runs", "format=xml", "format"),
        ("/api/export/drift", "format=xml", "format"),
    ],
)
def test_an_unknown_choice_is_refused(world: World, path: str, query: str, field: str) -> None:
    assert refused(world, path, query) == [field]


@ON_SQLITE
@pytest.mark.parametrize("value", ["nonsense", "e30", "e30=", "W10", "null", "%F0%9F%92%A9", "A" * 5000, "-1", "a%00"])
@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_of_somebody_else_is_refused(world: World, path: str, value: str) -> None:
    assert refused(world, path, f"cursor={value}") == ["cursor"]


@ON_SQLITE
def test_every_bad_parameter_is_named_at_once(world: World) -> None:
    for path in ("/api/runs", "/api/drift"):
        assert set(refused(world, path, "days=x&limit=y&offset=z&table=%00")) == {"days", "limit", "offset", "table"}


@pytest.mark.parametrize(
    "query", ["table=%FF%FE", "days=7&days=8", "table=a&table=b", "table=" + "x" * 6000, "%", "&&=&"]
)
@pytest.mark.parametrize("path", ["/api/runs", "/api/drift", "/api/tables", "/api/export/runs"])
def test_no_query_is_our_fault(world: World, path: str, query: str) -> None:
    answer = world.get(path, query)
    assert answer.status_code in (200, 422) and is_readable(answer)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A file that is no database; a server that is not there."""
    path: Path = tmp_path_factory.mktemp("broken") / "broken.db"
    path.write_text("this was a database once, now it is a sentence" * 50)
    urls = {"sqlite": f"sqlite:///{path}", "postgres": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"}
    with opened(make_app(urls[request.param])) as found:
        yield found


@pytest.mark.parametrize("path", STORED)
def test_a_storage_that_is_down_is_a_503_that_the_page_may_read(broken: World, path: str) -> None:
    answer = broken.get(path)
    assert is_problem(answer, 503) and is_readable(answer)
    assert int(answer.headers["Retry-After"]) > 0 and "Content-Disposition" not in answer.headers


def test_a_wrong_parameter_and_no_storage_is_still_an_answer(broken: World) -> None:
    answer = broken.get("/api/runs", "days=x")
    assert answer.status_code in (422, 503) and is_readable(answer)


def test_the_process_lives_whatever_the_storage_does(broken: World) -> None:
    answer = broken.get("/health/live")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})
    assert is_readable(answer)


def test_nobody_is_ready_without_a_storage(broken: World) -> None:
    answer = broken.get("/health/ready")
    assert is_problem(answer, 503) and is_readable(answer)
    assert set(answer.json["checks"]) == {"storage", "schema", "scheduler"}


def test_ready_is_what_answers(world: World) -> None:
    assert world.json("/health/live") == {"status": "alive"}
    ready = world.json("/health/ready")
    assert ready["status"] == "ready" and set(ready["checks"]) == {"storage", "schema", "scheduler"}


def test_an_empty_storage_is_alive_and_not_ready(tmp_path: Path) -> None:
    with opened(make_app(f"sqlite:///{tmp_path / 'empty.db'}")) as world:
        assert world.get("/health/live").status_code == 200
        answer = world.get("/health/ready")
    assert is_problem(answer, 503) and "profilemesh db upgrade" in answer.text


@pytest.mark.parametrize("path", [*LISTS, "/health/live", "/api/dashboard/metrics"])
def test_our_own_fault_is_a_problem_that_the_page_may_read(small: World, path: str) -> None:
    @small.app.before_request
    def fault() -> None:
        raise RuntimeError("the secret is 42")

    answer = small.get(path)
    assert is_problem(answer, 500) and is_readable(answer) and "42" not in answer.text
