import pytest
from flask.testing import FlaskClient


def test_the_description_is_openapi_3_1_and_names_every_endpoint(client: FlaskClient) -> None:
    described = client.get("/openapi.json").json
    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) == {
        "/",
        "/health/live",
        "/health/ready",
        "/api/dashboard/metrics",
        "/api/runs",
        "/api/runs/{run_id}",
        "/api/runs/{run_id}/compare/{other}",
        "/api/drift",
        "/api/findings",
        "/api/findings/{finding_id}",
        "/api/findings/{finding_id}/triage",
        "/api/findings/triage",
        "/api/tables",
        "/api/tables/{table}/metrics",
        "/api/tables/{table}/columns/{column}/metrics",
        "/api/warehouses",
        "/api/search",
        "/api/export/runs",
        "/api/export/drift",
        "/api/export/metrics",
        "/api/plan",
        "/api/plan/run",
        "/api/decisions",
        "/api/ticks",
        "/api/tables/{table}/state",
    }


def test_every_error_of_a_run_by_hand_is_described(client: FlaskClient) -> None:
    answers = client.get("/openapi.json").json["paths"]["/api/plan/run"]["post"]["responses"]
    assert {"202", "400", "403", "409", "415", "422", "503"} <= set(answers)


def test_every_error_of_triage_is_described(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]
    one = paths["/api/findings/{finding_id}/triage"]["post"]["responses"]
    assert {"200", "400", "403", "404", "409", "415", "422"} <= set(one)
    assert {"200", "400", "403", "415", "422"} <= set(paths["/api/findings/triage"]["post"]["responses"])


def test_parameters_are_described_with_their_limits(client: FlaskClient) -> None:
    described = client.get("/openapi.json").json["paths"]["/api/runs"]["get"]
    limit = next(p for p in described["parameters"] if p["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "default": 100, "minimum": 1, "maximum": 1000}
    assert all(p.get("description") for p in described["parameters"])


def test_errors_are_described_as_they_are(client: FlaskClient) -> None:
    problem = client.get("/openapi.json").json["components"]["schemas"]["Problem"]
    assert {"type", "title", "status", "detail"} == set(problem["required"])


def test_every_link_leads_to_an_endpoint_with_these_parameters(client: FlaskClient) -> None:
    paths, led = client.get("/openapi.json").json["paths"], set()
    for described in (method for path in paths.values() for method in path.values() if isinstance(method, dict)):
        for link in described["responses"].get("200", {}).get("links", {}).values():
            path = link["operationRef"].removeprefix("#/paths/").removesuffix("/get").replace("~1", "/")
            known = {p["name"] for p in paths[path]["get"].get("parameters", []) + paths[path].get("parameters", [])}
            assert set(link["parameters"]) <= known
            led.add(path)
    assert {path for path, methods in paths.items() if "{" in path and "get" in methods} <= led


def test_a_file_is_described_in_each_of_its_formats(client: FlaskClient) -> None:
    described = client.get("/openapi.json").json["paths"]["/api/export/runs"]["get"]["responses"]["200"]["content"]
    kinds = {"application/json", "text/csv; charset=utf-8", "application/x-ndjson", "application/vnd.apache.parquet"}
    assert set(described) == kinds


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_asks_no_other_machine(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "http://" not in answer.text and "https://" not in answer.text and "<script>" not in answer.text
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
