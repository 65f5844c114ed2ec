"""What real runs find is what the API of Phase 1 tells."""

from __future__ import annotations

from jobs.tick import Project, tick
from tests.engine.loads import table
from tests.web import Served


def test_what_a_run_found_is_told_by_the_api_as_phase_1_knew_it(served: Served) -> None:
    project, client = Project.of(served.app), served.app.test_client()
    for day in range(5):
        served.write(table("orders", n=4000 + day))
        tick(project)
    assert client.get("/api/drift").json == []
    served.write(table("orders", one_in=5))
    assert tick(project) is not None
    [drift] = [each for each in client.get("/api/drift").json if each["metric_name"] == "null_percent"]
    assert (drift["table_name"], drift["column_name"], drift["severity"]) == ("orders", "email", "high")
    runs = client.get("/api/runs").json
    drifted = [run["run_id"] for run in runs if run["has_drift"]]
    assert drifted == [drift["run_id"]] == [runs[0]["run_id"]]
    served.write("ALTER TABLE orders ADD COLUMN note VARCHAR")
    tick(project)
    assert ("note", "schema") in {(each["column_name"], each["metric_name"]) for each in client.get("/api/drift").json}
