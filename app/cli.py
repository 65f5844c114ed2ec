"""Web commands, joined to `profilemesh` by an entry point."""

from __future__ import annotations

import os

import click
from granian import Granian
from granian.constants import Interfaces

from app import create_app
from app.settings import read_settings
from profilemesh.errors import ProfileMeshError


@click.command()
@click.option("-c", "--config", type=click.Path(dir_okay=False), help="The configuration file (PROFILEMESH_CONFIG).")
@click.option("--host", help="Address to listen on (API_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (API_PORT, 8000).")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that answer.")
def serve(config: str | None, host: str | None, port: int | None, workers: int) -> None:
    """Serve the dashboard and the API."""
    if config:
        os.environ["PROFILEMESH_CONFIG"] = config
    try:
        settings = read_settings()
        # The workers read their settings from the environment; what is wrong with them is better said once, here.
        os.environ.setdefault("SECRET_KEY", settings["SECRET_KEY"])
        create_app()
    except ProfileMeshError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None
    address, at = host or settings["API_HOST"], port or settings["API_PORT"]
    click.echo(f"ProfileMesh on http://{address}:{at} (Ctrl-C stops it)")
    Granian(
        "app:create_app", factory=True, address=address, port=at, interface=Interfaces.WSGI, workers=workers
    ).serve()
