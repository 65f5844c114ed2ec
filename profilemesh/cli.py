"""The `profilemesh` command: parse, call, print. Further commands join by the entry points `profilemesh.commands`."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import orjson
from dotenv import load_dotenv
from rich.console import Console

from profilemesh import terminal
from profilemesh.config import Config, find_config, load_config
from profilemesh.errors import ConfigError, ProfileMeshError, StorageOutdated
from profilemesh.planning import Decision, Plan
from profilemesh.runner import Outcome, Report, look, opened, run_plan, utc_now
from profilemesh.storage import Storage, open_storage, runs, states
from profilemesh.storage.upgrade import upgrade

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
    context.show(_report_json(report), lambda console: terminal.draw_report(console, report))
    sys.exit(FAILED if report.is_trouble else DONE)


@main.command()
@config_option
@json_option
@click.pass_obj
def status(context: Context) -> None:
    """Show every known table: its last profile, what was decided last, and why."""
    config = context.config()
    with _storage(config) as storage, storage.read() as session:
        known = session.scalars(states.listing()).all()
        newest = runs.latest_runs(session)
    rows = [terminal.Standing.of(state, newest) for state in known]
    context.show([asdict(row) for row in rows], lambda console: terminal.draw_status(console, rows))


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
    done = upgrade(context.config().storage.url, backup=not no_backup)
    data = {key: None if value is None else str(value) for key, value in asdict(done).items()}
    context.show(data, lambda console: terminal.draw_upgrade(console, done))


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


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "warehouse": decision.table.warehouse,
        "schema": decision.table.schema,
        "table": decision.table.name,
        "action": decision.action,
        "reason": decision.reason,
        "evidence": dict(decision.evidence),
        "rows_estimate": decision.snapshot.rows_estimate if decision.snapshot else None,
    }


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
    return _plan_json(report.plan) | {"outcomes": [_outcome_json(outcome) for outcome in report.outcomes]}


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    found = asdict(outcome)
    table = found.pop("table")
    return {"warehouse": table["warehouse"], "schema": table["schema"], "table": table["name"]} | found


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
