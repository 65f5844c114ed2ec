"""/help: what the words and numbers of the other pages mean."""

from __future__ import annotations

from flask import Blueprint, Response

from app import catalogue, words
from app.findings import STATES
from app.pages import show
from app.preview import config_or_none
from profilemesh.config.model import DriftConfig

pages = Blueprint("help", __name__, url_prefix="/help")


@pages.get("")
def index() -> Response:
    config = config_or_none()
    return show(
        "help/index.html",
        metrics=catalogue.metrics(),
        ladders=list(catalogue.ladders(config.drift_detection if config else DriftConfig())),
        is_configured=config is not None,
        severities=catalogue.SEVERITIES,
        scopes=[(scope, words.MEANINGS[scope]) for scope in words.MEANINGS],
        actions=catalogue.actions(),
        reasons=catalogue.reasons(),
        statuses=catalogue.STATUSES,
        finding_states=STATES,
        keys=catalogue.KEYS,
    )
