"""`profilemesh drift`: what was found, and what other rules would have found."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from profilemesh.backtest import Backtest, Matched, as_json, backtest
from profilemesh.cli.context import (
    DRIFTED,
    MOST_LISTED,
    Context,
    config_option,
    json_option,
    only_option,
    opened_storage,
)
from profilemesh.cli.names import known_tables
from profilemesh.cli.terminal import DASH, ROOMY, ago, escape, new_grid, severity
from profilemesh.cli.times import Since
from profilemesh.cli.told import command
from profilemesh.clock import utc_now
from profilemesh.config import load_rules
from profilemesh.storage import findings
from profilemesh.storage.models import StoredFinding


@command(
    examples=[
        "profilemesh drift",
        "profilemesh drift --table 'shop.main.*' --all --json",
        "profilemesh drift --exit-code || echo 'look at it'",
        "profilemesh drift --replay --since 60d --rules stricter.yml",
    ],
    exits={
        2: "usage or configuration, or the file of --rules is wrong, with its lines",
        DRIFTED: "with --exit-code: there is drift",
    },
    json="""A list of findings: `finding_id`, `warehouse`, `schema_name`, `table_name`, `column_name`, `metric_name`,
    `kind`, `state`, `severity`, `sentence`, `owner`, `assignee`, `opened_at`, `last_seen_at`, `resolved_at`,
    `occurrences`. With --replay an object: `summary` (`found`, `new`, `not_found`, `expected`, `by_verdict`),
    `findings` (each with `stored`, null where it is new), `not_found`.""",
)
@config_option
@json_option
@only_option
@click.option("--all", "is_all", is_flag=True, help="Resolved ones too.")
@click.option("--limit", type=click.IntRange(1, MOST_LISTED), default=200, show_default=True, help="At most so many.")
@click.option("--replay", "is_replay", is_flag=True, help="What the rules would have found over the stored history.")
@click.option(
    "--since", type=Since(), help="With --replay: from when on; a day, a time, or 36h, 30d, 6w. [default: 30d]"
)
@click.option(
    "--rules",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --replay: a file with `drift_detection`, instead of the configuration's.",
)
@click.option(
    "--exit-code", "is_told", is_flag=True, help=f"Exit code {DRIFTED} where there is drift that is not resolved."
)
@click.pass_obj
def drift(
    context: Context,
    only: str | None,
    is_all: bool,
    limit: int,
    is_replay: bool,
    since: datetime | None,
    rules: Path | None,
    is_told: bool,
) -> None:
    """Show what drift found and is not resolved, last seen first.

    Tells severity, state, when it was last seen and in how many runs, whose it is, and what changed.

    --replay is a back-test: what the rules would have found over the stored history, against what was found and how
    people took it. --rules tries the section `drift_detection` of another file. Nothing is written.
    """
    if is_replay:
        _replay(context, only, since or utc_now() - timedelta(days=30), rules)
        return
    if since is not None or rules is not None:
        raise click.UsageError("--since and --rules belong to --replay")
    config = context.config()
    with opened_storage(config) as storage:
        tables = None if only is None else known_tables(config, storage, only)
        with storage.read() as session:
            found = session.scalars(findings.listing(tables, is_all=is_all).limit(limit)).all()
    context.show([_finding_json(each) for each in found], lambda console: _draw(console, list(found)))
    if is_told and any(each.state != findings.State.RESOLVED for each in found):
        sys.exit(DRIFTED)


def _replay(context: Context, only: str | None, since: datetime, rules: Path | None) -> None:
    config = context.config()
    tried = load_rules(rules) if rules else config.drift_detection
    with opened_storage(config) as storage:
        tables = None if only is None else known_tables(config, storage, only)
        done = backtest(storage, tried, since, utc_now(), tables)
    context.show(as_json(done, str(rules) if rules else None), lambda console: _draw_backtest(console, done))


def _finding_json(found: StoredFinding) -> dict[str, Any]:
    return {column.name: getattr(found, column.name) for column in StoredFinding.__table__.columns}


def _draw(out: Console, found: list[StoredFinding]) -> None:
    if not found:
        out.print("Nothing is found that is not resolved; --all shows what was.")
        return
    roomy = out.width >= ROOMY
    grid = new_grid("Severity", *(["State", "Seen", "Runs", "Owner"] if roomy else ["Seen"]), "What")
    for each in found:
        who = escape(each.assignee or each.owner or DASH)
        what = escape(f"{each.warehouse}.{each.schema_name}: {each.sentence}")
        if roomy:
            seen = (each.state, ago(each.last_seen_at), f"{each.occurrences:,}", who)
            grid.add_row(severity(each.severity), *seen, what)
        else:
            grid.add_row(severity(each.severity), ago(each.last_seen_at), f"{each.state}, {who}\n{what}")
    out.print(grid)


def _draw_backtest(out: Console, done: Backtest) -> None:
    grid = new_grid("Day", "Severity", "Runs", "Stored", "What")
    for each in done.found:
        episode = each.episode
        assert episode is not None
        place = f"{episode.first.table.warehouse}.{episode.first.table.schema}"
        said = escape(f"{place}: {episode.first.sentence}")
        worst = severity(episode.worst.severity)
        grid.add_row(f"{episode.at[0]:%Y-%m-%d}", worst, str(len(episode.at)), _stored(each), said)
    if done.found:
        out.print(grid)
    for each in done.missed:
        assert each.stored is not None
        out.print(f"not found: {each.stored.opened_at:%Y-%m-%d} {escape(each.stored.sentence)} ({_stored(each)})")
    told = ", ".join(f"{name} {sides['found']} of {sum(sides.values())}" for name, sides in done.verdicts().items())
    new = sum(each.stored is None for each in done.found)
    out.print(
        f"{done.runs:,} runs of {done.tables:,} tables since {done.since:%Y-%m-%d}: {len(done.found)} findings, ",
        end="",
    )
    out.print(f"{new} of them new. Of those stored, found again: {told}. Nothing was written.")


def _stored(matched: Matched) -> str:
    stored = matched.stored
    return "new" if stored is None else f"{stored.state}, {stored.verdict}"
