"""Every page there is, for all tests that look at all pages.

A new page is found by itself, as long as `WHICH` knows what may stand for the parts of its address. `MORE` has pages in
other states: filtered, empty, refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from flask import Flask, url_for
from sqlalchemy.orm import Session

from app.extensions import db
from app.queries.columns import FINDING, RESULT, RESULTS, RUN, RUNS

Part = Mapping[str, Any]
"""Values for an address: its own parts, and what goes into its query."""
FRAGMENTS = frozenset({"plan.preview", "plan.progress"})
"""Parts of pages, which lead to their page when they are opened by themselves."""
MORE = (
    "/?days=1",
    "/runs?q=nothing",
    "/runs?drift=true&sort=-took",
    "/tables?q=nothing",
    "/drift?state=all&severity=high",
    "/drift?q=nothing",
    "/plan?preview=1&days=7",
    "/runs?days=x",
    "/search?q=e",
    "/search?q=nothing",
    "/nowhere",
)


def every_page(app: Flask) -> list[str]:
    """The address of each page, with everything that is stored to be shown on it."""
    return [address for addresses in pages_of(app).values() for address in addresses]


def one_of_each(app: Flask) -> list[str]:
    """One address of each page, and the pages in other states: as many as there are templates and a few more."""
    return [addresses[len(addresses) // 2] for addresses in pages_of(app).values()] + list(MORE)


def pages_of(app: Flask) -> dict[str, list[str]]:
    """The addresses of each page, by its endpoint."""
    with app.test_request_context():
        found = {"Service.Root": [url_for("Service.Root")]}
        for rule in app.url_map.iter_rules():
            if _is_page(app, rule.endpoint) and "GET" in (rule.methods or ()):
                parts = _parts(db.session(), rule.endpoint, tuple(sorted(rule.arguments)))
                found.setdefault(rule.endpoint, []).extend(url_for(rule.endpoint, **part) for part in parts)
        db.session.remove()
    return {endpoint: list(dict.fromkeys(addresses)) for endpoint, addresses in found.items() if addresses}


def _is_page(app: Flask, endpoint: str) -> bool:
    is_ours = app.view_functions[endpoint].__module__.startswith("app.pages.")
    return is_ours and endpoint not in FRAGMENTS


def _parts(session: Session, endpoint: str, arguments: tuple[str, ...]) -> Iterable[Part]:
    assert arguments in WHICH, f"say in tests/addresses.py what may stand for {arguments}"
    asked = ASKED[endpoint](session) if endpoint in ASKED else ()
    return [*WHICH[arguments](session), *asked]


def _runs(session: Session) -> list[Part]:
    """The newest of each table and status."""
    newest = sa.func.row_number().over(
        partition_by=(RUN.warehouse, RUN.schema_name, RUN.dataset_name, RUN.status), order_by=RUN.profiled_at.desc()
    )
    ranked = sa.select(RUN.run_id, RUN.dataset_name, newest.label("rank")).subquery()
    rows = session.execute(sa.select(ranked.c.run_id, ranked.c.dataset_name).where(ranked.c.rank == 1))
    return [{"run_id": run_id, "table": table} for run_id, table in rows]


def _tables(session: Session) -> list[Part]:
    rows = session.execute(sa.select(RUN.dataset_name, RUN.warehouse, RUN.schema_name).distinct())
    return [{"table": name, "warehouse": warehouse, "schema": schema} for name, warehouse, schema in rows]


def _columns(session: Session) -> list[Part]:
    """Two of each table: its first and its last by name."""
    key = (RUN.dataset_name, RUN.warehouse, RUN.schema_name)
    ends = (sa.func.min(RESULT.column_name), sa.func.max(RESULT.column_name))
    same = sa.and_(RESULT.run_id == RUN.run_id, RESULT.dataset_name == RUN.dataset_name)
    joined = sa.select(*key, *ends).select_from(RUNS).join(RESULTS, same).group_by(*key)
    return [
        {"table": name, "warehouse": warehouse, "schema": schema, "column": column}
        for name, warehouse, schema, *columns in session.execute(joined)
        for column in columns
    ]


def _findings(session: Session) -> list[Part]:
    return [{"finding_id": each} for each in session.scalars(sa.select(FINDING.finding_id))]


def _warehouses(session: Session) -> list[Part]:
    return [{"warehouse": each} for each in session.scalars(sa.select(RUN.warehouse).distinct())]


WHICH: Mapping[tuple[str, ...], Callable[[Session], Iterable[Part]]] = {
    (): lambda session: [{}],
    ("run_id",): _runs,
    ("table",): _tables,
    ("column", "table"): _columns,
    ("finding_id",): _findings,
    ("warehouse",): _warehouses,
}
ASKED: Mapping[str, Callable[[Session], Iterable[Part]]] = {"compare.index": _tables}
"""Pages that show something only when their query names it."""
