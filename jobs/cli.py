"""`profilemesh schedule`: the scheduler without the web, joined to the command by an entry point."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from apscheduler.triggers.base import BaseTrigger

from app.settings import read_settings, storage_url
from jobs.scheduler import Scheduler, trigger_of
from jobs.tick import Project
from profilemesh import reasons
from profilemesh.cli.context import DONE, Context, config_option, json_option, plain
from profilemesh.cli.told import command
from profilemesh.errors import ConfigError
from profilemesh.runner import Report
from profilemesh.storage import open_storage


@command(
    examples=[
        "profilemesh schedule",
        "PROFILEMESH_TICK_CRON='0 6 * * 1-5' profilemesh schedule",
        "profilemesh schedule --print | crontab -",
    ],
    exits={0: "stopped by Ctrl-C, a polite kill or a closed terminal: tables and lease are given back"},
    json="With --print an object: `cron`, the five fields, `time_zone` and `command`; else it has no effect.",
)
@config_option
@json_option
@click.option("--print", "is_printed", is_flag=True, help="Print the line for cron instead, and do nothing.")
@click.pass_obj
def schedule(context: Context, is_printed: bool) -> None:
    """Tick without the web, or print the line for cron.

    Plans and profiles every PROFILEMESH_TICK_MINUTES, or as PROFILEMESH_TICK_CRON says, and delivers alerts, as `serve`
    does beside its pages. Of all processes with one storage one holds the scheduler's lease and ticks; the others wait
    to replace it. The configuration is read anew for every tick.
    """
    settings = read_settings()
    path = Path(settings["PROFILEMESH_CONFIG"]).expanduser()
    if not path.is_file():
        raise ConfigError(f"PROFILEMESH_CONFIG: there is no file {path}; `profilemesh init` writes one")
    if is_printed:
        line = {"cron": cron_of(settings), "time_zone": "UTC", "command": _command(path)}
        text = f"CRON_TZ={line['time_zone']}\n{line['cron']} {line['command']}"
        context.show(line, lambda console: console.print(text, markup=False))
        return
    project = Project(path, storage_url(settings))
    project.config()
    # What is wrong with the storage is better said once, here.
    open_storage(project.storage_url).close()
    _run(project, trigger_of(settings), _when(settings))
    sys.exit(DONE)


def _run(project: Project, trigger: BaseTrigger, when: str) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stopping.set())
    scheduler = Scheduler(project, trigger, told=_tell)
    click.echo(f"ProfileMesh ticks {when} (Ctrl-C stops it)")
    scheduler.start()
    stopping.wait()
    scheduler.stop()
    click.echo("stopped; tables and the lease are given back", err=True)


def _tell(report: Report | None) -> None:
    if report is None:
        return
    made = report.plan
    said = f"{made.made_at:%Y-%m-%d %H:%M} UTC  {reasons.told(made)}"
    failed = f" {reasons.tables(len(report.failed))} failed." if report.failed else ""
    click.echo(said + failed)
    for outcome in report.failed:
        click.echo(plain(f"  {outcome.table}: {outcome.error}", keep="\n"))


def _when(settings: Mapping[str, Any]) -> str:
    cron = os.environ.get("PROFILEMESH_TICK_CRON", "").strip()
    return f"at {cron} UTC" if cron else f"every {settings['PROFILEMESH_TICK_MINUTES']:g} minutes"


def cron_of(settings: Mapping[str, Any]) -> str:
    """The five fields; raises ConfigError for minutes that cron cannot say."""
    cron = os.environ.get("PROFILEMESH_TICK_CRON", "").strip()
    minutes = settings["PROFILEMESH_TICK_MINUTES"]
    if cron:
        return " ".join(cron.split())
    if minutes <= 60 and 60 % minutes == 0 and minutes == int(minutes):
        return "* * * * *" if minutes == 1 else "0 * * * *" if minutes == 60 else f"*/{int(minutes)} * * * *"
    if minutes % 60 == 0 and 1440 % minutes == 0:
        return "0 0 * * *" if minutes == 1440 else f"0 */{int(minutes // 60)} * * *"
    raise ConfigError(
        f"PROFILEMESH_TICK_MINUTES: cron cannot say every {minutes:g} minutes; it takes a divisor of an hour or a day, "
        "or set PROFILEMESH_TICK_CRON"
    )


def _command(path: Path) -> str:
    program = Path(sys.argv[0]).absolute() if Path(sys.argv[0]).name == "profilemesh" else Path("profilemesh")
    # In cron a percent sign ends the command.
    words = shlex.join([str(program), "-c", str(path.absolute()), "profile"])
    return f"cd {shlex.quote(str(Path.cwd()))} && {words}".replace("%", r"\%")
