"""/drift/replay: what the rules would have found over the stored history, against how people took what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, Response

from app.clients import is_local, require_local
from app.extensions import db
from app.pages import parse, show
from app.preview import looker
from app.queries import tables, warehouses
from app.schemas.findings import ReplayFilter
from profilemesh.backtest import Backtest, Matched, backtest
from profilemesh.errors import ProfileMeshError
from profilemesh.storage import Storage

pages = Blueprint("replay", __name__, url_prefix="/drift/replay")
MOST_TABLES = 100
MOST_SHOWN = 500


@dataclass(frozen=True)
class Told:
    """A finding of the replay as the list of findings has one; `is_found` is false of what would be missed."""

    matched: Matched
    at: datetime
    warehouse: str
    schema_name: str
    table_name: str
    column_name: str
    severity: str
    sentence: str

    @property
    def is_found(self) -> bool:
        return self.matched.episode is not None

    @property
    def runs(self) -> int:
        return len(self.matched.episode.at) if self.matched.episode else 0


@pages.get("")
def index() -> Response:
    wanted, now = parse(ReplayFilter), datetime.now(UTC)
    shown: dict[str, Any] = {"done": None, "trouble": "", "tables": []}
    if wanted["go"]:
        # It may read the whole history.
        require_local()
        shown = _replayed(wanted, now)
    return show(
        "drift/replay.html",
        wanted=wanted,
        warehouses=sorted(warehouses.types(db.session())),
        most_tables=MOST_TABLES,
        most_shown=MOST_SHOWN,
        can_replay=is_local(),
        now=now,
        **shown,
    )


def _replayed(wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    chosen = tables.matching(db.session(), wanted["warehouse"], wanted["q"], MOST_TABLES + 1)
    # The session's own view of the storage ends here: the replay opens others, table by table.
    db.session.rollback()
    try:
        rules = looker().config().drift_detection
        done = backtest(Storage(db.engine), rules, now - timedelta(days=wanted["days"]), now, chosen[:MOST_TABLES])
    except ProfileMeshError as error:
        return {"done": None, "trouble": str(error), "tables": chosen}
    return {"done": done, "trouble": "", "tables": chosen, "days": _days(done)}


def _days(done: Backtest) -> list[tuple[date, list[Told]]]:
    """The newest first."""
    told = sorted(map(_told, done.matched), key=lambda each: (each.at.date(), each.table_name), reverse=True)
    return [(day, list(of_day)) for day, of_day in _by_day(told[:MOST_SHOWN])]


def _by_day(told: Iterable[Told]) -> Iterable[tuple[date, Iterable[Told]]]:
    return groupby(told, lambda each: each.at.date())


def _told(matched: Matched) -> Told:
    if matched.episode is not None:
        finding, severity, at = matched.episode.first, matched.episode.worst.severity.value, matched.episode.at[0]
        table, column, sentence = finding.table, finding.column, finding.sentence
    else:
        stored = matched.stored
        assert stored is not None
        table, column, severity, at, sentence = (
            stored.table,
            stored.column,
            stored.severity,
            stored.opened_at,
            stored.sentence,
        )
    return Told(matched, at, table.warehouse, table.schema, table.name, column, severity, sentence)
