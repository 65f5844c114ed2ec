"""Web commands, joined to `profilemesh` by an entry point."""

from __future__ import annotations

import errno
import os
import socket

import click
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app import create_app
from app.extensions import THREADS
from app.settings import read_settings
from profilemesh.cli.context import config_option
from profilemesh.cli.told import command
from profilemesh.errors import ProfileMeshError

# For the requests that are being answered, and then for the tick in hand to give back its tables.
STOP_SECONDS = 30


class Refused(click.ClickException):
    exit_code = 2


@command(
    examples=[
        "profilemesh serve --port 8080",
        "PROFILEMESH_SCHEDULER=off profilemesh serve --workers 4",
    ],
    exits={2: "a setting is wrong, or the address is taken; it does not start"},
)
@config_option
@click.option("--host", help="Address to listen on (API_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (API_PORT, 8000).")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that answer.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Serve the dashboard and the API, and tick.

    It plans and profiles by itself, every PROFILEMESH_TICK_MINUTES or as PROFILEMESH_TICK_CRON says;
    PROFILEMESH_SCHEDULER=off leaves that to cron, `schedule`, Dagster or another server. However many processes serve
    one storage, on however many machines, one of them holds the scheduler's lease and ticks. A dead holder is replaced
    within a minute, on the same machine within seconds, and a tick that it missed or left unfinished is made up for.

    The configuration is read anew for every tick: a change takes effect, a broken file fails the tick and no more.
    Ctrl-C or a polite kill interrupts the tick in hand: its scans are cancelled, their runs end as failed, tables and
    lease are given back, within 30 seconds. A dead worker is replaced. Other servers: `gunicorn
    wsgi:app` does the same.
    """
    try:
        settings = read_settings()
        # Workers read their settings from the environment; what is wrong with them is better said once, here.
        os.environ["SECRET_KEY"] = settings["SECRET_KEY"]
        create_app()
    except ProfileMeshError as error:
        raise Refused(str(error)) from None
    address, at = host or settings["API_HOST"], port or settings["API_PORT"]
    _require_free(address, at)
    click.echo(f"ProfileMesh on http://{address}:{at} (Ctrl-C stops it)")
    server = Granian(
        "jobs:served_app",
        factory=True,
        address=address,
        port=at,
        interface=Interfaces.WSGI,
        workers=workers,
        # No more than there are connections: who comes later waits here, and not there for a failure.
        blocking_threads=THREADS,
        websockets=False,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        # It warns of any number of threads that serves pages which wait for a database.
        log_level=LogLevels.error,
    )
    server.serve()


def _require_free(address: str, port: int) -> None:
    """Granian shares a port with whoever listens there, and the two would answer in turn."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            other = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
            raise Refused(f"cannot listen on {address}:{port}: {error.strerror}; choose another {other}") from None
