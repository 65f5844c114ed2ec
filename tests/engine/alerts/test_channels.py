from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from profilemesh.alerts import channels
from profilemesh.alerts.channels import label_of, refusal_of, send
from profilemesh.alerts.messages import Message
from tests.engine.alerts.made import entry
from tests.webhook import ERROR, Receiver

SECRET = "s3cr3t-token"
MESSAGE = Message("the-key", "team", (entry(),))


def test_a_webhook_gets_the_key_as_a_header_and_the_findings_as_data(receiver: Receiver) -> None:
    assert send(receiver.address("team"), MESSAGE).error is None
    (taken,) = receiver.taken
    assert taken.key == "the-key"
    assert taken.headers["User-Agent"] == "ProfileMesh"
    assert taken.body["profilemesh"]["entries"][0]["metric"] == "null_percent"
    assert taken.body["type"] == "failure"
    assert "the-key" not in taken.body["message"]


def test_a_payload_that_the_address_shapes_is_left_as_it_is(receiver: Receiver) -> None:
    send(receiver.address("team", "?:message=text&:attachments=&:version=&:type="), MESSAGE)
    assert set(receiver.taken[0].body) == {"title", "text"}


@pytest.mark.parametrize("kind", ["xml", "form"])
def test_other_webhooks_get_the_key_too(receiver: Receiver, kind: str) -> None:
    assert send(receiver.address("team").replace("json", kind, 1), MESSAGE).error is None
    assert [each.key for each in receiver.taken] == ["the-key"]


def test_a_channel_without_headers_has_the_key_in_the_last_line(receiver: Receiver) -> None:
    ntfy = receiver.url.replace("http", "ntfy") + "/alerts"
    assert send(ntfy, MESSAGE).error is None
    said = receiver.taken[0].body
    assert (said["message"] if isinstance(said, dict) else said).endswith("key the-key")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "foo://host",
        "jsons://host?verify=no",
        "mailto://me:pw@example.com?verify=no&to=a@example.com",
        "slack://short",
    ],
)
def test_bad_addresses_are_refused(url: str) -> None:
    assert refusal_of(url)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        (
            f"jsons://user:{SECRET}@hooks.example.com:8443/{SECRET}?+Authorization={SECRET}",
            "jsons://hooks.example.com:8443",
        ),
        (f"mailtos://me:{SECRET}@example.com?to=team@example.com", "mailtos://me:****@example.com/team%40example.com"),
        (f"tgram://123456789:{SECRET}aaaaaaaaaaaaa/12315544/", "tgram://1...a/12315544"),
    ],
)
def test_a_label_says_where_and_no_secret(url: str, label: str) -> None:
    assert refusal_of(url) is None
    assert SECRET not in label_of(url)
    assert label_of(url) == label


def test_no_secret_is_told_or_logged_whatever_fails(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.behaviour = lambda path: ERROR
    host = receiver.url.removeprefix("http://")
    for url in (
        f"json://user:{SECRET}@{host}/{SECRET}?+Authorization={SECRET}",
        f"json://user:{SECRET}@127.0.0.1:1/{SECRET}",
        f"mailto://me:{SECRET}@127.0.0.1:1?to=team@example.com",
    ):
        refusal_of(url)
        sent = send(url, MESSAGE)
        assert sent.error
        assert SECRET not in sent.error + sent.label
    said = capfd.readouterr()
    assert SECRET not in caplog.text + said.out + said.err


def test_a_plugin_that_breaks_is_a_failed_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(channel: object, message: object) -> None:
        raise RuntimeError(f"no {SECRET}")

    monkeypatch.setattr(channels, "_prepared", breaks)
    assert send(f"json://host/{SECRET}", MESSAGE).error == "RuntimeError: no ***"


def test_redirects_are_not_followed_and_nothing_is_shown_from_elsewhere() -> None:
    channel = channels._opened("json://host/path")
    assert channel is not None
    assert channel.redirects is False
    assert channel.image_url(channels.NotifyType.INFO) is None
    assert channel.verify_certificate is True


def test_who_has_no_routes_does_not_load_apprise() -> None:
    code = "import sys, profilemesh.cli, profilemesh.cli.alerts; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
