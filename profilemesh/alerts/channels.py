"""One channel of a route: an address in the way of apprise, and one try to send something there.

Importing this loads apprise. What it and the HTTP client log may hold addresses with their secrets, so that neither
reaches the log of this process: failures are told by `Sent.error`, from which secrets are taken out.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType

from profilemesh.alerts.messages import Message, Style

WITH_HEADERS = ("json", "jsons", "xml", "xmls", "form", "forms")
"""Webhooks: they get the key as a header, and their path is as good as a password."""
SEND_SECONDS = 15.0
"""A channel that takes longer than this, all its requests together, has failed."""
_STYLES = {NotifyFormat.HTML: Style.HTML, NotifyFormat.MARKDOWN: Style.MARKDOWN, NotifyFormat.TEXT: Style.TEXT}
_TYPES = {
    "high": NotifyType.FAILURE,
    "medium": NotifyType.WARNING,
    "low": NotifyType.WARNING,
    "resolved": NotifyType.SUCCESS,
}
# No pictures from elsewhere in messages, no address of apprise's, and no following to where nobody sent us.
_ASSET = AppriseAsset(
    app_id="ProfileMesh",
    app_desc="ProfileMesh",
    app_url="",
    image_url_mask="",
    image_url_logo="",
    http_redirects=False,
    interpret_emojis=False,
)


class _Heard(logging.Handler):
    """What apprise says in a thread, for that thread alone."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.here = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        said = getattr(self.here, "said", None)
        if said is not None:
            said.append(record.getMessage())


_heard = _Heard()
logging.getLogger("apprise").addHandler(_heard)
logging.getLogger("apprise").propagate = False
with warnings.catch_warnings():
    # Some of its plugins, all of which the first address loads, import what Python is about to drop.
    warnings.simplefilter("ignore", DeprecationWarning)
    Apprise.instantiate("json://localhost", asset=_ASSET)
for _name in ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Sent:
    """How one try ended: `error` is None if the channel took it."""

    label: str
    error: str | None = None


def refusal_of(url: str) -> str | None:
    """What is allowed instead of this address; None if it is good."""
    channel = _opened(url)
    if channel is None:
        return "an address that apprise knows, such as slack://TOKEN_A/TOKEN_B/TOKEN_C, with all its parts"
    if not channel.verify_certificate:
        return "an address without `verify=no`: certificates are always verified (REQUESTS_CA_BUNDLE names your own)"
    return None


def label_of(url: str) -> str:
    """The channel for people: what kind it is, and where, as far as that is no secret."""
    channel = _opened(url)
    if channel is None:
        return "an address that cannot be read"
    if channel.schema in WITH_HEADERS:
        port = f":{channel.port}" if channel.port else ""
        return f"{channel.schema}://{channel.host}{port}"
    shown: str = channel.url(privacy=True)  # type: ignore[no-untyped-call]
    return shown.partition("?")[0].rstrip("/")


def send(url: str, message: Message, seconds: float = SEND_SECONDS) -> Sent:
    """Try once. It is over after so many seconds, whatever the other side does."""
    label, outcome = label_of(url), [f"no answer within {seconds:g} s"]
    channel = _opened(url)
    if channel is None:
        return Sent(label, "the address cannot be read any more")
    worker = threading.Thread(target=_try, args=(channel, message, outcome), name="alerts-send", daemon=True)
    worker.start()
    worker.join(seconds)
    return Sent(label, _without_secrets(outcome[-1], url) or None)


def _try(channel: NotifyBase, message: Message, outcome: list[str]) -> None:
    """Add how it ended to the outcome: nothing if it went well."""
    said: list[str] = []
    _heard.here.said = said
    try:
        if channel.notify(**_prepared(channel, message)):
            outcome.append("")
        else:
            outcome.append("; ".join(dict.fromkeys(said)) or "refused, without a reason")
    except Exception as error:  # noqa: BLE001 - plugins of a hundred services; one that breaks is a failed try
        outcome.append(f"{type(error).__name__}: {error}")


def _prepared(channel: NotifyBase, message: Message) -> dict[str, Any]:
    """Title and body in the channel's own format and size, and the key where the channel has a place for it."""
    is_webhook = channel.schema in WITH_HEADERS
    wanted = channel.resolve_format(None) if is_webhook else _richest(channel)
    style = _STYLES[wanted]
    if is_webhook:
        _mark(channel, message)
    title = message.title(style, channel.title_maxlen)
    room = channel.body_maxlen - (len(title) + 20 if channel.title_maxlen <= 0 else 0)
    return {
        "title": title,
        "body": message.body(style, room, with_key=not is_webhook),
        "notify_type": _TYPES.get(message.gravity, NotifyType.INFO),
        "body_format": wanted,
    }


def _richest(channel: NotifyBase) -> NotifyFormat:
    """Unless the address says which: where plain text is shown as Markdown all the same, names would not be escaped."""
    given = (NotifyFormat.HTML, NotifyFormat.MARKDOWN)
    return next((each for each in given if channel.resolve_format(each) is each), channel.resolve_format(None))


def _mark(channel: Any, message: Message) -> None:
    channel.headers["Idempotency-Key"] = message.key
    # Who shapes the payload in the address has a receiver that is not to be surprised.
    if channel.schema.startswith("json") and not channel.payload_extras:
        channel.payload_extras["profilemesh"] = message.data()


def _opened(url: str) -> NotifyBase | None:
    return Apprise.instantiate(url.strip(), asset=_ASSET)


def _without_secrets(text: str, url: str) -> str:
    """The text without any part of the address, but for its kind and a webhook's host."""
    parts = urlsplit(url)
    is_known = parts.scheme in (*WITH_HEADERS, "mailto", "mailtos")
    shown = {parts.scheme, (parts.hostname or "") if is_known else ""}
    pieces = {piece for given in (url, unquote(url)) for piece in re.split(r"[/:@?&=#,\s]+", given)}
    for piece in sorted(pieces - shown, key=len, reverse=True):
        if len(piece) >= 4:
            text = text.replace(piece, "***")
    return text
