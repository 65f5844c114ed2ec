"""Rows that our layout has no place for: without a key, with one that is taken, without a time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from profilemesh.storage.adoption.layout import Layout
from profilemesh.storage.adoption.values import NAMELESS

Layouts = Mapping[str, Layout]


def mend(layouts: Layouts) -> None:
    for layout in layouts.values():
        layout.keep_odd_aside()
    runs, results, events, states = (
        layouts.get(f"profilemesh_{noun}") for noun in ("runs", "results", "events", "table_state")
    )
    if runs is not None and results is not None:
        share_schemas(runs, results)
        share_times(runs, results)
    if runs is not None:
        give_ids(runs, "run_id", "dataset_name")
    if events is not None:
        is_timeless = events.time(events.old.c.timestamp).is_(None)
        created = sa.update(events.old).where(is_timeless).values(timestamp=events.time(events.old.c.created_at))
        events.connection.execute(created.where(events.time(events.old.c.created_at).is_not(None)))
        give_ids(events, "event_id")
    if results is not None:
        give_numbers(results)
    if states is not None:
        forget_tokens(states)


def share_schemas(runs: Layout, results: Layout) -> None:
    """A run whose metrics all name one schema is of that schema; a metric without one is of its run's."""
    metrics = results.old
    named = sa.select(metrics.c.run_id, metrics.c.dataset_name, sa.func.min(metrics.c.schema_name).label("schema_name"))
    is_one = sa.func.min(metrics.c.schema_name) == sa.func.max(metrics.c.schema_name)
    only = named.group_by(metrics.c.run_id, metrics.c.dataset_name).having(is_one).subquery("only")
    _take("schema_name", runs, runs.old.c.schema_name.is_(None), only)
    _take("schema_name", results, metrics.c.schema_name.is_(None), runs.old)


def share_times(runs: Layout, results: Layout) -> None:
    """A run without a time was when its last metric was; a metric without one, when its run was."""
    for lacking, telling in ((runs, results), (results, runs)):
        old, latest = telling.old, sa.func.max(telling.time(telling.old.c.profiled_at)).label("profiled_at")
        told = sa.select(old.c.run_id, old.c.dataset_name, latest).group_by(old.c.run_id, old.c.dataset_name)
        is_timeless = lacking.time(lacking.old.c.profiled_at).is_(None)
        _take("profiled_at", lacking, is_timeless, told.subquery("told"))


def _take(name: str, layout: Layout, is_lacking: sa.ColumnElement[bool], told: sa.FromClause) -> None:
    """What other rows of the same run and table tell."""
    old = layout.old
    if layout.connection.scalar(sa.select(sa.select(sa.literal(1)).select_from(old).where(is_lacking).exists())):
        same = sa.and_(told.c.run_id == old.c.run_id, told.c.dataset_name == old.c.dataset_name)
        taken = sa.update(old).where(same, is_lacking, told.c[name].is_not(None)).values({name: told.c[name]})
        layout.connection.execute(taken)


def give_ids(layout: Layout, name: str, *others: str) -> None:
    """A new id for a row without one, and for every further row of the same key; the old one is kept aside."""
    if layout.is_unique(name, *others):
        return
    id_: sa.ColumnElement[Any] = sa.column(name)
    rows = _without_own_key(layout, id_, *(sa.func.coalesce(sa.column(other), NAMELESS) for other in others))
    if rows:
        values = {layout.aside(name): sa.cast(id_, sa.String), name: sa.bindparam("new")}
        given = sa.update(layout.old).where(layout.is_row("at")).values(values)
        layout.connection.execute(given, [{"at": row, "new": str(uuid.uuid4())} for row in rows])


def give_numbers(results: Layout) -> None:
    """A number of its own for every metric: after the largest there is, in the order in which they stand."""
    if results.is_unique("id"):
        return
    number = results.whole(sa.column("id"))
    rows = _without_own_key(results, number)
    if rows:
        first = (results.connection.scalar(sa.select(sa.func.max(number)).select_from(results.old)) or 0) + 1
        given = sa.update(results.old).where(results.is_row("at")).values(id=sa.bindparam("new"))
        results.connection.execute(given, [{"at": row, "new": first + n} for n, row in enumerate(rows)])


def _without_own_key(layout: Layout, *key: sa.ColumnElement[Any]) -> list[Any]:
    """Rows that lack the first part of their key, or are not the first with theirs."""
    nth = sa.func.row_number().over(partition_by=key, order_by=layout.row).label("nth")
    ranked = sa.select(layout.row.label("at"), key[0].label("part"), nth).select_from(layout.old).subquery("ranked")
    odd = sa.or_(ranked.c.part.is_(None), ranked.c.nth > 1)
    return list(layout.connection.scalars(sa.select(ranked.c.at).where(odd).order_by(ranked.c.at)))


TOKENS = ("snapshot_id", "change_token", "last_profiled_at")


def forget_tokens(states: Layout) -> None:
    """The tokens of Phase 1 prove nothing: a table is planned as if it had never been profiled. What is remembered of
    it stays in `metadata`, with that of further rows of the same table."""
    found = states.connection.execute(sa.select(states.row.label("at"), *states.old.c)).mappings().all()
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(found, key=lambda row: str(row["last_profiled_at"] or ""), reverse=True):
        key = (row["schema_name"] or "", row["table_name"] or NAMELESS)
        tables.setdefault(key, []).append(dict(row))
    update = sa.update(states.old).where(states.is_row("at"))
    kept = [{"at": rows[0]["at"], "kept": _remembered(rows, states.old)} for rows in tables.values()]
    gone = [{"at": row["at"]} for rows in tables.values() for row in rows[1:]]
    if gone:
        states.connection.execute(sa.delete(states.old).where(states.is_row("at")), gone)
    if kept:
        forgotten = {name: None for name in TOKENS}
        states.connection.execute(update.values({"metadata": sa.bindparam("kept"), **forgotten}), kept)


def _remembered(rows: list[dict[str, Any]], old: sa.TableClause) -> str:
    told: dict[str, Any] = {name: rows[0][name] for name in (*TOKENS, "metadata")}
    if rows[1:]:
        told["others"] = [{name: row[name] for name in old.c.keys() if row[name] is not None} for row in rows[1:]]
    return json.dumps({"phase1": told}, default=str, ensure_ascii=False)
