from __future__ import annotations

from datetime import UTC, datetime

import pytest

from profilemesh.alerts.digests import content_of, loss_of, message_of
from profilemesh.alerts.messages import Message, Style
from profilemesh.storage.alerts import ENTRIES
from profilemesh.storage.models import AlertDigest
from tests.engine.alerts.made import SENTENCE, entry

LINK = "https://mesh.example.com/drift/f1"
HOSTILE = 'x](http://evil) <script>alert("1")</script> *_`#|\nSubject: no'


def message(*entries: dict[str, object], **more: object) -> Message:
    told = [entry(**{"finding_id": str(place)} | each).data() for place, each in enumerate(entries)]
    digest = AlertDigest(key="k1", route="team", content=content_of(told) | more)
    return message_of(digest)


def test_one_finding_is_its_sentence() -> None:
    found = message({})
    assert found.title(Style.TEXT) == f"🔴 {SENTENCE}"
    assert message({"change": "resolved"}).title(Style.TEXT) == f"✅ Resolved: {SENTENCE}"


def test_several_findings_are_counted_by_severity() -> None:
    found = message(
        {"severity": "low", "table": "a"}, {"table": "b"}, {"change": "resolved", "table": "c"}, {"table": "d"}
    )
    assert found.title(Style.TEXT) == "🔴 3 findings (2 high, 1 low), 1 resolved in b, d, a and 1 other table"
    assert [each.gravity for each in found.entries] == ["high", "high", "low", "resolved"]


def test_a_body_has_mark_sentence_table_owner_and_link() -> None:
    text = message({"owner": "sales-team", "link": LINK}).body(Style.TEXT, 10_000, with_key=True)
    assert text == (
        f"🔴 HIGH {SENTENCE}\nshop.main.orders · owner sales-team · opened\n{LINK}\n\nProfileMesh, route team, key k1"
    )


def test_the_last_word_on_a_finding_is_told_once() -> None:
    told = [entry(change=change).data() for change in ("opened", "worsened")]
    assert [each["change"] for each in content_of(told)["entries"]] == ["worsened"]


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        (Style.HTML, "x](http://evil) &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; *_`#| Subject: no"),
        (Style.MARKDOWN, r'x\](http://evil) \<script\>alert("1")\</script\> \*\_\`\#\| Subject: no'),
        (Style.TEXT, 'x](http://evil) <script>alert("1")</script> *_`#| Subject: no'),
    ],
)
def test_what_stands_in_names_means_nothing(style: Style, kept: str) -> None:
    found = message({"sentence": HOSTILE, "table": HOSTILE})
    assert kept in found.body(style, 10_000, with_key=False)
    assert "\n" not in found.title(style)


def test_names_with_underscores_read_well_in_markdown() -> None:
    assert "shop.main.order_items" in message({"table": "order_items"}).body(Style.MARKDOWN, 10_000, with_key=False)


@pytest.mark.parametrize("room", [300, 1000, 2000, 4096])
@pytest.mark.parametrize("style", Style)
def test_a_body_fits_its_channel_and_says_how_much_is_missing(style: Style, room: int) -> None:
    found = message(*[{"table": f"t{n}", "link": LINK} for n in range(50)], dashboard="https://mesh.example.com")
    body = found.body(style, room, with_key=True)
    assert len(body) <= room
    assert "key k1" in body
    told = body.count("HIGH") or 1
    assert f"and {50 - told} more" in body


def test_thousands_of_findings_are_told_by_their_number() -> None:
    found = message(*[{"table": f"t{n}"} for n in range(ENTRIES + 1000)])
    assert (len(found.entries), found.more) == (ENTRIES, 1000)
    assert "and 1,000 more" in found.body(Style.TEXT, 10**6, with_key=True)


def test_what_was_given_up_is_counted_and_dated_also_twice() -> None:
    made = [datetime(2026, 11, day, 8, tzinfo=UTC) for day in (1, 2, 5)]
    lost = [AlertDigest(content=content_of([entry().data()]), made_at=at) for at in made]
    note = AlertDigest(content=loss_of(lost[:2]), made_at=made[2])
    again = loss_of([note, lost[2]])
    assert again["note"].startswith(
        "3 messages about 3 findings, of 2026-11-01 08:00 to 2026-11-05 08:00 UTC, could not be delivered"
    )
