"""Which two runs are compared: those that were asked for, else the ones that are nearest to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from app.queries import runs, tables
from app.queries.runs import GOOD_STATUSES
from profilemesh.tables import TableRef

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Chosen:
    """The earlier and the later run, and the runs of their table to choose from, the newest first. `trouble` says why
    there are no two, `is_wrong` that the choice itself is at fault; `missing` is an id that nobody knows."""

    before: Any | None = None
    after: Any | None = None
    offered: Sequence[Any] = ()
    trouble: str | None = None
    is_wrong: bool = False
    missing: str | None = None

    @property
    def table(self) -> TableRef | None:
        run = self.after or self.before or next(iter(self.offered), None)
        return TableRef(*_key(run)) if run is not None else None


def chosen(session: Session, wanted: Mapping[str, Any]) -> Chosen:
    ids = list(dict.fromkeys(filter(None, [wanted["before"], wanted["after"], *wanted["run"]])))
    if not ids:
        return _newest_two(session, wanted)
    known = [run for run in runs.named(session, ids[:2]) if _fits(run, wanted)]
    missing = next((each for each in ids[:2] if each not in {run.run_id for run in known}), None)
    if missing is not None:
        return Chosen(missing=missing)
    if len(ids) > 2:
        return replace(
            _offered(session, known[0]), trouble=f"{len(ids)} runs are chosen; two are compared.", is_wrong=True
        )
    return _pair(session, known) if len(ids) == 2 else _with_the_one_before(session, known[0])


def _fits(run: Any, wanted: Mapping[str, Any]) -> bool:
    names = (("table", run.dataset_name), ("schema", run.schema_name))
    if wanted["warehouse"] and wanted["warehouse"] not in (run.warehouse, run.warehouse_type):
        return False
    return all(not wanted[name] or wanted[name] == own for name, own in names)


def _key(run: Any) -> Key:
    return run.warehouse, run.schema_name, run.dataset_name


def _pair(session: Session, known: Sequence[Any]) -> Chosen:
    """Of the tables that both cover, the one that was read last."""
    by_table: dict[Key, list[Any]] = {}
    for run in known:
        by_table.setdefault(_key(run), []).append(run)
    both = next((each for each in by_table.values() if len(each) == 2), None)
    if both is None:
        return replace(_offered(session, known[0]), trouble="The two runs are of different tables.", is_wrong=True)
    after, before = both
    return _offered(session, after, before)


def _with_the_one_before(session: Session, after: Any) -> Chosen:
    before = runs.neighbours(session, after).like_before
    trouble = None if before is not None else "There is no earlier run that it could be measured against."
    return replace(_offered(session, after, before), trouble=trouble)


def _newest_two(session: Session, wanted: Mapping[str, Any]) -> Chosen:
    if not wanted["table"]:
        return Chosen()
    found = tables.find(session, wanted["table"], wanted["schema"], wanted["warehouse"])
    offered = tables.newest_runs(session, found[0]) if found else []
    good = [run for run in offered if run.status in GOOD_STATUSES][:2]
    if len(good) == 2:
        return Chosen(good[1], good[0], offered)
    trouble = f"Two runs of {wanted['table']} that succeeded are needed, and there {_are(len(good))}."
    return Chosen(after=good[0] if good else None, offered=offered, trouble=trouble)


def _are(count: int) -> str:
    return "is one" if count else "is none"


def _offered(session: Session, after: Any, before: Any | None = None) -> Chosen:
    """With the newest runs of the table, and the chosen ones wherever they are."""
    listed = tables.newest_runs(session, TableRef(*_key(after)))
    ids = {run.run_id for run in listed}
    listed += [run for run in (after, before) if run is not None and run.run_id not in ids]
    return Chosen(before, after, listed)
