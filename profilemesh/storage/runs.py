"""Runs and their metrics."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from profilemesh.errors import StorageError
from profilemesh.planning.decisions import Reason
from profilemesh.storage.models import Event, LoggedDecision, ProfileNumbers, Result, Run, Summary, TableState
from profilemesh.storage.states import is_state_of
from profilemesh.storage.writes import count, hits_one
from profilemesh.tables import TableRef

INTERRUPTED = "interrupted: the process that ran it stopped before it finished"


@dataclass(frozen=True)
class Metric:
    """One value of one column, or of the table with an empty column name. `number` is None where it is no number."""

    column_name: str
    metric_name: str
    value: str | None
    number: float | None = None
    column_type: str | None = None


def table_of(run: Run) -> TableRef:
    return TableRef(run.warehouse, run.schema_name, run.dataset_name)


def start_run(session: Session, run: Run) -> None:
    """Store a new run as running."""
    run.status = "running"
    session.add(run)
    session.flush()


def finish_run(session: Session, run: Run) -> None:
    """Store all that `run` now holds, as a success.

    Raises StorageError unless the stored run is still running: it may have been given up as interrupted.
    """
    _close(session, run, "success")


def fail_run(session: Session, run: Run, error: str, trace: str | None = None) -> None:
    """Store all that `run` now holds, as failed; raises as `finish_run` does."""
    run.error, run.error_trace = error, trace
    _close(session, run, "failed")


def _close(session: Session, run: Run, status: str) -> None:
    # Out of the session, or autoflush would write the run before its condition is looked at.
    if run in session:
        session.expunge(run)
    run.status = status
    columns = sa.inspect(Run).columns
    values = {column.name: getattr(run, column.key) for column in columns if not column.primary_key}
    same = sa.and_(Run.run_id == run.run_id, Run.dataset_name == run.dataset_name, Run.status == "running")
    if not hits_one(session, sa.update(Run).where(same).values(values)):
        raise StorageError(f"run {run.run_id} of {table_of(run)} is not running any more; nothing of it was stored")


def save_results(session: Session, run: Run, metrics: Sequence[Metric]) -> None:
    """Store a run's metrics in one executemany."""
    if not metrics:
        return
    same = {
        "run_id": run.run_id,
        "dataset_name": run.dataset_name,
        "schema_name": run.schema_name,
        "profiled_at": run.profiled_at,
    }
    rows = [
        same
        | {
            "column_name": metric.column_name,
            "column_type": metric.column_type,
            "metric_name": metric.metric_name,
            "metric_value": metric.value,
            "metric_number": metric.number,
        }
        for metric in metrics
    ]
    session.execute(sa.insert(Result), rows)


def of_table(session: Session, table: TableRef, run_id: str) -> Run | None:
    """This run of this table."""
    return session.scalar(sa.select(Run).where(_of_table(table), Run.run_id == run_id))


def listing(table: TableRef, statuses: Collection[str] | None = None) -> sa.Select[Run]:
    """A table's runs, or those with one of these statuses, newest first."""
    wanted = sa.select(Run).where(_of_table(table)).order_by(Run.profiled_at.desc(), Run.run_id.desc())
    return wanted if statuses is None else wanted.where(Run.status.in_(sorted(statuses)))


def beginning(session: Session, start: str, most: int = 5) -> list[Run]:
    """The runs whose id begins so, newest first; an adopted run stands here once for each of its tables."""
    wanted = sa.select(Run).where(Run.run_id.startswith(start, autoescape=True))
    return list(session.scalars(wanted.order_by(Run.profiled_at.desc(), Run.run_id, Run.dataset_name).limit(most)))


def told(names: Iterable[str], tables: Collection[TableRef] | None, since: datetime | None) -> sa.Select[Any]:
    """These columns of the runs of these tables, or of all, newest first."""
    columns = Run.__table__.c
    wanted = sa.select(*(columns[name] for name in names))
    if tables is not None:
        wanted = wanted.where(sa.or_(sa.false(), *map(_of_table, tables)))
    if since is not None:
        wanted = wanted.where(Run.profiled_at >= since)
    return wanted.order_by(Run.profiled_at.desc(), Run.run_id.desc(), Run.dataset_name.desc())


def metrics_of(session: Session, run: Run, names: Collection[str]) -> Sequence[Result]:
    """These metrics of a run's columns, in the columns' order."""
    same = sa.and_(Result.run_id == run.run_id, Result.dataset_name == run.dataset_name)
    wanted = sa.and_(same, Result.schema_name == run.schema_name, Result.metric_name.in_(names))
    return session.scalars(sa.select(Result).where(wanted).order_by(Result.id)).all()


def withdraw_run(session: Session, run: Run) -> None:
    """Forget a run that was put off before it read anything, and its events; nothing happens if it is closed."""
    if run in session:
        session.expunge(run)
    unfinished = sa.and_(Run.run_id == run.run_id, Run.dataset_name == run.dataset_name, Run.status == "running")
    if count(session, sa.delete(Run).where(unfinished)):
        session.execute(sa.delete(Event).where(Event.run_id == run.run_id))


def running(session: Session, table: TableRef) -> list[tuple[str, str | None]]:
    """A table's runs that still say running, and the plans they belong to: the ids of both."""
    found = session.execute(sa.select(Run.run_id, Run.plan_id).where(_of_table(table), Run.status == "running"))
    return [(run_id, plan_id) for run_id, plan_id in found]


def claimed_and_running(session: Session) -> list[TableRef]:
    """The tables with a claim and a run that still says running: work in progress, or what a dead process left."""
    same_table = sa.and_(
        Run.warehouse == TableState.warehouse,
        Run.schema_name == TableState.schema_name,
        Run.dataset_name == TableState.table_name,
    )
    found = session.execute(
        sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name)
        .join(Run, same_table)
        .where(Run.status == "running", TableState.claimed_by.is_not(None))
        .distinct()
    )
    return sorted(TableRef(*row) for row in found)


def interrupted(session: Session, table: TableRef) -> int:
    """Mark a table's runs that still say running as failed, and tell how many there were.

    Only for the holder of the table's claim, before it starts a run of its own: then nobody else runs it.
    """
    orphaned = sa.and_(_of_table(table), Run.status == "running")
    return count(session, sa.update(Run).where(orphaned).values(status="failed", error=INTERRUPTED))


def latest_runs(session: Session) -> dict[TableRef, Run]:
    """The newest run of every table that has a state, whatever its status: one index look-up per table."""
    any_run = aliased(Run)
    newest = (
        sa.select(any_run.run_id)
        .where(
            any_run.warehouse == TableState.warehouse,
            any_run.schema_name == TableState.schema_name,
            any_run.dataset_name == TableState.table_name,
        )
        .order_by(any_run.profiled_at.desc(), any_run.run_id.desc())
        .limit(1)
        .correlate(TableState)
        .scalar_subquery()
    )
    same_table = sa.and_(
        Run.run_id == newest,
        Run.warehouse == TableState.warehouse,
        Run.schema_name == TableState.schema_name,
        Run.dataset_name == TableState.table_name,
    )
    runs = session.scalars(sa.select(Run).select_from(TableState).join(Run, same_table))
    return {table_of(run): run for run in runs}


def forget_values(session: Session, table: TableRef, columns: Collection[str], metrics: Collection[str]) -> None:
    """Delete these metrics of these columns from all runs of the table, and the summaries that hold their values.

    With the summaries of its partitions goes what is remembered of them: the next change is read in full.
    """
    of_table = sa.select(Run.run_id).where(_of_table(table))
    same = sa.and_(Result.run_id.in_(of_table), Result.dataset_name == table.name, Result.schema_name == table.schema)
    told = sa.and_(same, Result.column_name.in_(columns), Result.metric_name.in_(metrics))
    count(session, sa.delete(Result).where(told))
    count(session, sa.delete(Summary).where(Summary.run_id.in_(of_table)))
    count(session, sa.delete(ProfileNumbers).where(ProfileNumbers.run_id.in_(of_table)))
    count(session, sa.update(TableState).where(is_state_of(table)).values(manifest=None))


WITHHELD = "withheld"
_LISTS = ("added", "changed", "dropped", "closed")


def forget_partitions(session: Session, table: TableRef) -> None:
    """Withhold the names of the table's partitions wherever something older tells them, the SQL that was sent included:
    by key, a partition's name is its values. To be called before the summaries of its partitions are deleted."""
    in_parts = sa.select(Summary.run_id).where(Summary.partition_key != "")
    for run in session.scalars(sa.select(Run).where(_of_table(table), Run.scope_detail.is_not(None))):
        run.scope_detail = _nameless(run.scope_detail or {})
    named = sa.or_(Run.scope == "merged", Run.run_id.in_(in_parts))
    count(session, sa.update(Run).where(_of_table(table), named).values(statements=None))
    for decision in session.scalars(sa.select(LoggedDecision).where(_tells_of(LoggedDecision, table))):
        decision.evidence = _nameless(decision.evidence or {}, decision.reason)
    for event in session.scalars(sa.select(Event).where(_tells_of(Event, table), Event.details.is_not(None))):
        details = _told(event.details)
        if details is not None:
            event.details = json.dumps(_nameless(details, details.get("reason")), ensure_ascii=False)


def _told(details: str | None) -> dict[str, Any] | None:
    """What an event tells, if it is ours: others wrote any text there."""
    try:
        found = json.loads(details or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _tells_of(kind: type[LoggedDecision | Event], table: TableRef) -> sa.ColumnElement[bool]:
    names = (kind.warehouse, kind.schema_name, kind.table_name)
    return sa.and_(*(name == part for name, part in zip(names, astuple(table), strict=True)))


def _nameless(told: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    """Scope or evidence with as many partitions as before, and no name of one."""
    found = dict(told)
    # Of changed columns the evidence has the names, which are no values.
    if told.get("because", reason) != Reason.SCHEMA_CHANGED:
        found |= {name: [WITHHELD] * len(told[name]) for name in _LISTS if isinstance(told.get(name), list)}
    if isinstance(told.get("partitions"), list):
        found["partitions"] = [{**part, "name": WITHHELD} for part in told["partitions"]]
    return found


def _of_table(table: TableRef) -> sa.ColumnElement[bool]:
    return sa.and_(Run.warehouse == table.warehouse, Run.schema_name == table.schema, Run.dataset_name == table.name)
