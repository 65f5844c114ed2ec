"""A warehouse that is loaded anew every day, with a tick after each load; its calm days are built once and copied."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import Project

START = datetime(2026, 3, 2, 5, tzinfo=UTC)
MAIL = "CASE WHEN hash(i) % {one_in} > 0 THEN 'm' || i END AS email"
ROWS = f"SELECT i AS id, {MAIL}, hash(i) % 97 AS v FROM range({{n}}) r(i)"


def table(name: str, *, one_in: int = 500, n: int = 4000) -> str:
    return f"CREATE OR REPLACE TABLE {name} AS {ROWS.format(one_in=one_in, n=n)}"


def tick(project: Project, day: int, *statements: str, **asked: Any) -> None:
    """A day's load, and the tick after it."""
    project.duckdb("shop", *statements)
    project.tick(clock=lambda: START + timedelta(day), **asked)


@dataclass
class Calm:
    """Makes projects whose tables were written anew as they were for some days. Each such past is lived once."""

    folder: Path
    execute: Callable[[], Callable[..., Any]]
    """How statements reach the PostgreSQL server, which is started by the first who wants one."""
    pasts: dict[tuple[Any, ...], Project] = field(default_factory=dict)

    def __call__(self, project: Project, *names: str, days: int = 5) -> Project:
        """The project, which has no warehouse yet and an empty storage, with that past."""
        key = (project.postgres_url is None, names, days)
        if key not in self.pasts:
            self.pasts[key] = self._lived(project.postgres_url, names, days)
        past = self.pasts[key]
        shutil.copy(past.folder / "shop.duckdb", project.folder)
        project.warehouses |= {"shop": replace(past.warehouses["shop"], filepath=project.folder / "shop.duckdb")}
        if project.postgres_url is None:
            shutil.copy(past.folder / "profilemesh.db", project.folder)
        else:
            mine = _database(project.url)
            self.execute()(
                f"DROP DATABASE {mine} WITH (FORCE)", f"CREATE DATABASE {mine} TEMPLATE {_database(past.url)}"
            )
        return project

    def _lived(self, postgres_url: str | None, names: tuple[str, ...], days: int) -> Project:
        name = f"past_{uuid.uuid4().hex[:12]}"
        project = Project(self.folder / name)
        project.folder.mkdir()
        if postgres_url is not None:
            self.execute()(f"CREATE DATABASE {name}")
            project.postgres_url = postgres_url.replace(_database(postgres_url), name)
        upgrade(project.url)
        for day in range(days):
            tick(project, day, *(table(each, n=4000 + day) for each in names))
        return project


def _database(url: str) -> str:
    return str(sa.make_url(url).database)
