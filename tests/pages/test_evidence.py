from typing import Any

import pytest

from app.evidence import Fact, facts


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (None, []),
        (
            {"token_before": "x", "token_after": "x", "confidence": "exact"},
            [Fact("token", "equal: x (proves it)", "x")],
        ),
        ({"token_before": None, "token_after": None}, [Fact("token", "equal: none")]),
        (
            {"token_before": "a" * 30, "token_after": "b", "confidence": "heuristic"},
            [Fact("token before", "…" + "a" * 12, "a" * 30), Fact("token now", "b", "b")],
        ),
        ({"added": ["p1", "p2"], "dropped": []}, [Fact("new", "p1, p2")]),
        ({"changed": list("abcdefgh")}, [Fact("changed", "a, b, c, d, e, f and more", "a, b, c, d, e, f, g, h")]),
        ({"retyped": {"id": ["INT", "TEXT"]}}, [Fact("another type", "id: INT → TEXT")]),
        ({"because": "snapshot_changed"}, [Fact("was to be read because", "its data may have changed")]),
        ({"rows_estimated": 32_064}, [Fact("expected", "32.1 k rows", "32,064 rows")]),
        ({"max_bytes": 5}, [Fact("limit", "5 bytes", "5 bytes")]),
        ({"limit": 64}, [Fact("at most", "64 partitions", "64 partitions")]),
        ({"fraction": 0.05}, [Fact("sample", "5 % of the rows")]),
        ({"due_at": "2026-11-23T17:07:25+00:00"}, [Fact("due", "2026-11-23 17:07 UTC")]),
        ({"due_at": "soon"}, [Fact("due", "soon")]),
        ({"new_thing": "as it stands"}, [Fact("new thing", "as it stands")]),
    ],
)
def test_evidence_is_readable(evidence: Any, told: list[Fact]) -> None:
    assert facts(evidence) == told
