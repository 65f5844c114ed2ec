"""The sections `owners` and `alerts`, and the kinds of values that stand only there."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from marshmallow import ValidationError, post_load, validates_schema

from profilemesh.config import model
from profilemesh.config.document import Text
from profilemesh.config.fields import Day, Either, Flag, Hours, ListOf, OneOf, Part, Secret, Whole, Word
from profilemesh.config.problems import ALLOWED
from profilemesh.config.section import Section
from profilemesh.config.windows import QuietHours, Window, quiet_until

KINDS = ("metric", "distribution", "volume", "freshness", "schema")
SEVERITIES = ("low", "medium", "high")
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


class RouteName(Word):
    """It is typed at a terminal, and is part of a lease's name."""

    allowed = "a name of at most 40 letters, digits, - and _"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        if not isinstance(value, Text) or not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", value):
            raise self.refusal()
        return str(value)


class ChannelUrl(Secret):
    """An address in the way of apprise. The refusal shows nothing of it."""

    allowed = "the address of a channel, such as mailtos://user:PASSWORD@mail.example.com?to=team@example.com"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        # Some hundred kinds of channels are loaded with it, which only those who alert should wait for.
        from profilemesh.alerts.channels import refusal_of

        url = super()._deserialize(value, attr, data, **options)
        refused = refusal_of(url)
        if refused is not None:
            raise ValidationError(f"{ALLOWED}{refused}")
        return url


class PageUrl(Word):
    allowed = "the address of the dashboard, such as https://profilemesh.example.com"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        word = super()._deserialize(value, attr, data, **options).strip()
        try:
            parts = urlsplit(word)
            is_page = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        except ValueError:
            is_page = False
        if not is_page or re.search(r"[\s<>()\[\]`\"]", word):
            raise self.refusal()
        return word.rstrip("/")


class TimeZone(Word):
    allowed = "the name of a time zone, such as UTC or Europe/Berlin"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        word = super()._deserialize(value, attr, data, **options)
        try:
            return ZoneInfo(word).key
        except (KeyError, OSError, ValueError):
            raise self.refusal() from None


class QuietSection(Section):
    hours = Hours(allowed='hours as "HH:MM-HH:MM" with two different ends, such as "20:00-07:00"')
    days = ListOf(Day(), lone=True)
    time_zone = TimeZone()

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> QuietHours:
        every = Window()
        start, end = data.get("hours", (every.start_minute, every.end_minute))
        window = Window(start, end, tuple(sorted(set(data.get("days") or every.days))))
        return QuietHours(window, data.get("time_zone", QuietHours.time_zone))


class RouteSection(Section):
    makes = model.Route
    name = RouteName(required=True)
    to = ListOf(ChannelUrl(), lone=True, required=True)
    enabled = Flag()
    min_severity = OneOf(*SEVERITIES)
    kinds = ListOf(OneOf(*KINDS), lone=True)
    warehouse = ListOf(Word(), lone=True)
    schema = ListOf(Word(), lone=True)
    table = ListOf(Word(), lone=True)
    owner = ListOf(Word(), lone=True)
    resolved = Flag()
    quiet_hours = Either(ListOf(Part(QuietSection)), Part(QuietSection))

    @validates_schema
    def speaks_at_times(self, data: dict[str, Any], **options: Any) -> None:
        quiet = _listed(data.get("quiet_hours", ()))
        until = quiet_until(quiet, MONDAY)
        if until is not None and until - MONDAY > timedelta(days=8):
            raise ValidationError(f"{ALLOWED}hours and days that leave some time to tell", "quiet_hours")
        if not data["to"]:
            raise ValidationError(f"{ALLOWED}at least one address", "to")

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> Any:
        return super().made(data | {"quiet_hours": _listed(data.get("quiet_hours", ()))}, **options)


def _listed(quiet: QuietHours | tuple[QuietHours, ...]) -> tuple[QuietHours, ...]:
    return (quiet,) if isinstance(quiet, QuietHours) else quiet


class AlertsSection(Section):
    makes = model.AlertsConfig
    routes = ListOf(Part(RouteSection))
    dashboard_url = PageUrl()
    give_up_after_hours = Whole(most=24 * 366)

    @validates_schema
    def names_each_route_once(self, data: dict[str, Any], **options: Any) -> None:
        names = [route.name for route in data.get("routes", ())]
        twice = {name for name, times in Counter(names).items() if times > 1}
        at = {place: {"name": [f"{ALLOWED}each name once"]} for place, name in enumerate(names) if name in twice}
        if at:
            raise ValidationError({"routes": at})


class OwnerSection(Section):
    makes = model.OwnerRule
    owner = Word(required=True)
    warehouse = Word()
    schema = Word()
    table = Word()
    tag = Word()
