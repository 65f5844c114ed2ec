"""The `profilemesh` command: parse, call, print. Further commands join by the entry points `profilemesh.commands`."""

from __future__ import annotations

import atexit
import difflib
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import orjson
from dotenv import load_dotenv
from rich.console import Console
from sqlalchemy.orm import Session

from profilemesh import terminal
from profilemesh.alerts.delivery import deliver
from profilemesh.config import Config, find_config, load_config
from profilemesh.errors import ConfigError, ProfileMeshError, StorageOutdated
from profilemesh.planning import Decision, Plan, is_asked_for
from profilemesh.planning.costs import Cost
from profilemesh.reasons import Rows
from profilemesh.runner import Outcome, Report, look, opened, run_plan, utc_now
from profilemesh.storage import Storage, decisions, open_storage, runs, states, steering
from profilemesh.storage.adoption import UNKNOWN_WAREHOUSE
from profilemesh.storage.models import LoggedDecision
from profilemesh.storage.upgrade import upgrade
from profilemesh.tables import TableRef
from profilemesh.warehouses import read_catalogue

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


@dataclass
class Context:
    """What every command knows: whether people or programs read the output."""

    as_json: bool = False

    def config(self) -> Config:
        config = load_config(find_config(None))
        for warning in config.warnings:
            click.echo(f"warning: {warning}", err=True)
        return config

    def show(self, data: Any, draw: Callable[[Console], None]) -> None:
        """The data as JSON, or what `draw` makes of it for people."""
        if self.as_json:
            click.echo(orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2).decode())
        else:
            draw(terminal.console())


class Commands(click.Group):
    """A group that loads further commands from entry points and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(point.name for point in _points())})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        found = super().get_command(ctx, name)
        if found is not None:
            return found
        return next((point.load() for point in _points() if point.name == name), None)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ProfileMeshError, KeyboardInterrupt) as error:
            code = _complain(error)
        # Outside the handler: an exit that carries the traceback keeps the drivers' objects alive to the very end.
        sys.exit(code)


def _complain(error: BaseException) -> int:
    """Say what went wrong, and tell the exit code."""
    if isinstance(error, KeyboardInterrupt):
        click.echo("stopped; tables that were being read keep their last profile", err=True)
        return INTERRUPTED
    click.echo(f"error: {error}", err=True)
    return MISUSED if isinstance(error, ConfigError | StorageOutdated) else FAILED


def _points() -> list[Any]:
    return list(entry_points(group="profilemesh.commands"))


def _choose_config(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    # By the environment, so that commands of other packages and their worker processes find it too.
    if value:
        os.environ["PROFILEMESH_CONFIG"] = value


def _choose_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Context).as_json |= value


config_option = click.option(
    "-c",
    "--config",
    metavar="FILE",
    expose_value=False,
    callback=_choose_config,
    help="Configuration; else PROFILEMESH_CONFIG, else profilemesh.yml.",
)
json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_choose_json, help="Print JSON for programs."
)
only_option = click.option(
    "--table", "only", metavar="GLOB", help="Only these: table, schema.table or warehouse.schema.table."
)
full_option = click.option("--full", "force", is_flag=True, help="Read even what did not change.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@config_option
@json_option
@click.version_option(package_name="profilemesh")
def main() -> None:
    """Tells what is in your warehouse tables and how it changes, reading as little as possible.

    Exit codes: 0 done or nothing to do, 1 something failed, 2 usage or configuration, 130 interrupted.
    """
    load_dotenv(Path.cwd() / ".env")


@contextmanager
def _storage(config: Config) -> Iterator[Storage]:
    storage = open_storage(config.storage.url)
    try:
        yield storage
    finally:
        storage.close()


@main.command()
@config_option
@json_option
@only_option
@full_option
@click.pass_obj
def plan(context: Context, only: str | None, force: bool) -> None:
    """Show what the next tick would do and why. Writes nothing.

    \b
    profilemesh plan
    profilemesh plan --table 'shop.main.*' --json
    """
    config = context.config()
    with _storage(config) as storage, opened(config) as warehouses:
        made = look(config, storage, warehouses, utc_now(), only=only, force=force)
    context.show(_plan_json(made), lambda console: terminal.draw_plan(console, made))
    _require_known(made, only)
    sys.exit(FAILED if made.is_trouble else DONE)


@main.command()
@config_option
@json_option
@only_option
@full_option
@click.pass_obj
def profile(context: Context, only: str | None, force: bool) -> None:
    """Profile every table that changed, or that cannot be proved unchanged.

    \b
    profilemesh profile
    profilemesh profile --table orders --full
    """
    config = context.config()
    with _stoppable(), _storage(config) as storage, opened(config) as warehouses:
        made = look(config, storage, warehouses, utc_now(), only=only, force=force)
        _require_known(made, only)
        with terminal.progress(len(made.to_read), quiet=context.as_json) as listener:
            report = run_plan(made, config, storage, warehouses, listener=listener)
        delivered = deliver(config, storage)
    data = _report_json(report) | {"alerts": asdict(delivered)}
    context.show(data, lambda console: terminal.draw_report(console, report))
    for route, error in delivered.failed.items():
        click.echo(f"warning: alerts of {route} wait: {error}", err=True)
    sys.exit(FAILED if report.is_trouble else DONE)


@main.command()
@config_option
@json_option
@click.pass_obj
def status(context: Context) -> None:
    """Show every known table: its last profile, how stale it is, when it is due, what was decided last and why."""
    config = context.config()
    with _storage(config) as storage, storage.read() as session:
        known = session.scalars(states.listing()).all()
        newest = runs.latest_runs(session)
    rows = [terminal.Standing.of(state, newest, config.incremental) for state in known]
    context.show([asdict(row) for row in rows], lambda console: terminal.draw_status(console, rows))


@main.command("decisions")
@config_option
@json_option
@only_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.pass_obj
def decision_log(context: Context, only: str | None, limit: int) -> None:
    """Show what was decided, and what came of it, newest first. Equal skips in a row are one.

    \b
    profilemesh decisions
    profilemesh decisions --table orders --limit 5 --json
    """
    config = context.config()
    with _storage(config) as storage:
        wanted = None if only is None else known_tables(config, storage, only)
        with storage.read() as session:
            rows = session.scalars(decisions.listing_of(wanted).limit(limit)).all()
    context.show([_logged_json(row) for row in rows], lambda console: terminal.draw_decisions(console, rows))


@main.command()
@config_option
@json_option
@click.argument("table")
@click.pass_obj
def pause(context: Context, table: str) -> None:
    """Read TABLE no more until `resume`: a name, schema.table, warehouse.schema.table, or a glob of them.

    \b
    profilemesh pause orders
    profilemesh pause 'shop.main.*'
    """
    _steer(context, table, "is paused", lambda session, each: steering.pause(session, each, utc_now()))


@main.command()
@config_option
@json_option
@click.argument("table")
@click.pass_obj
def resume(context: Context, table: str) -> None:
    """Take TABLE up again after `pause`; the next tick decides on it.

    \b
    profilemesh resume orders
    """
    _steer(context, table, "is taken up again", steering.resume)


@main.command()
@config_option
@json_option
@click.argument("table")
@click.pass_obj
def cancel(context: Context, table: str) -> None:
    """Stop the scan of TABLE, whichever process reads it; its last profile stays. The next tick tries again.

    \b
    profilemesh cancel orders
    """

    def ask(session: Session, each: TableRef) -> str:
        is_asked = steering.request_cancel(session, each, utc_now())
        return "is asked to stop" if is_asked else "is not being read"

    _steer(context, table, "", ask)


def _steer(context: Context, name: str, done: str, act: Callable[[Session, TableRef], str | None]) -> None:
    """Do it to every table of this name, and say what was done to each."""
    config = context.config()
    with _storage(config) as storage:
        tables = known_tables(config, storage, name)
        with storage.begin() as session:
            said = {table: act(session, table) or done for table in tables}
    data = [_table_json(table) | {"done": words} for table, words in said.items()]
    context.show(data, lambda console: terminal.draw_steered(console, said))


def known_tables(config: Config, storage: Storage, name: str) -> list[TableRef]:
    """The tables of this name: those that storage remembers, else those of the warehouses."""
    with storage.read() as session:
        known: Collection[TableRef] = states.latest_states(session).keys()
    found = [table for table in known if is_asked_for(table, name)]
    if not found:
        with opened(config) as warehouses:
            catalogue = read_catalogue(config, warehouses).snapshots.keys()
        found = [table for table in catalogue if is_asked_for(table, name)]
        known = {*known, *catalogue}
    if not found:
        raise ConfigError(f"{name!r} matches no table{_near(name, known)}")
    return sorted(found)


def _near(name: str, known: Collection[TableRef]) -> str:
    names = {shown: table for table in known for shown in (table.name, f"{table.schema}.{table.name}", str(table))}
    near = dict.fromkeys(str(names[each]) for each in difflib.get_close_matches(name, names, n=5))
    return f"; did you mean {' or '.join(list(near)[:3])}?" if near else "; `profilemesh plan` lists them all"


@main.command()
@config_option
@json_option
@click.pass_obj
def check(context: Context) -> None:
    """Can each warehouse be reached and read, and which metadata is missing? Exit code 1 if something is wrong."""
    config = context.config()
    with opened(config) as warehouses:
        results = {name: list(warehouse.check()) for name, warehouse in warehouses.items()}
    data = {name: [asdict(result) for result in found] for name, found in results.items()}
    context.show(data, lambda console: terminal.draw_check(console, results))
    sys.exit(DONE if all(result.ok for found in results.values() for result in found) else FAILED)


@main.group()
def db() -> None:
    """The storage database."""


@db.command("upgrade")
@config_option
@json_option
@click.option("--no-backup", is_flag=True, help="Do not copy a SQLite storage first.")
@click.pass_obj
def db_upgrade(context: Context, no_backup: bool) -> None:
    """Create the storage, or bring it to this version's schema. Safe to run twice and to interrupt."""
    config = context.config()
    source = config.warehouses.get(config.source or "")
    whose = (source.name, source.type) if source else UNKNOWN_WAREHOUSE
    done = upgrade(config.storage.url, backup=not no_backup, adopted_warehouse=whose)
    context.show(asdict(done), lambda console: terminal.draw_upgrade(console, done, whose[0]))


@contextmanager
def _stoppable() -> Iterator[None]:
    """A polite kill or a closed terminal ends the work as Ctrl-C does: claims are released, failures stored."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        # Ignored means started by nohup.
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _require_known(made: Plan, only: str | None) -> None:
    # A warehouse that does not answer may well have the table.
    if only is not None and not made.decisions and not made.troubles:
        raise ConfigError(f"--table {only!r} matches no table; `profilemesh plan` lists them all")


def _table_json(table: TableRef) -> dict[str, Any]:
    return {"warehouse": table.warehouse, "schema": table.schema, "table": table.name}


def _decision_json(decision: Decision) -> dict[str, Any]:
    partitions = decision.snapshot.partitions if decision.snapshot else None
    return _table_json(decision.table) | {
        "action": decision.action,
        "reason": decision.reason,
        "evidence": dict(decision.evidence),
        "rows_estimate": decision.snapshot.rows_estimate if decision.snapshot else None,
        "meaning": decision.reason.meaning,
        "staleness": decision.staleness,
        "reads": _cost_json(decision.cost),
        "full_scan": _cost_json(decision.naive),
        "fraction": decision.fraction,
        "due_at": decision.due_at,
        "partitions": len(partitions.parts) if partitions else None,
        "partitions_to_read": len(decision.change.to_read) if decision.change else None,
    }


def _cost_json(cost: Cost) -> dict[str, Any]:
    return {"rows": cost.rows, "bytes": cost.bytes, "is_measured": cost.is_measured}


def _logged_json(row: LoggedDecision) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in LoggedDecision.__table__.columns}


def _plan_json(made: Plan) -> dict[str, Any]:
    return {
        "plan_id": made.plan_id,
        "made_at": made.made_at,
        "decisions": [_decision_json(decision) for decision in made.decisions],
        "troubles": {name: asdict(trouble) for name, trouble in made.troubles.items()},
        "missing": [asdict(each) for each in made.missing],
        "unmatched_columns": [asdict(each) for each in made.unmatched],
    }


def _report_json(report: Report) -> dict[str, Any]:
    outcomes = [_outcome_json(outcome) for outcome in report.outcomes]
    return _plan_json(report.plan) | {"outcomes": outcomes, "rows": asdict(Rows.of(report))}


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    found = asdict(outcome)
    found.pop("table")
    return _table_json(outcome.table) | found


def run() -> None:
    """The console script: `main`, then out without tearing the interpreter down.

    DuckDB's binding prints a page of "leaked" objects when the interpreter frees modules in an order it does not like.
    """
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)
