import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest

from app.charts import Mark, Stack, histogram, line, scale_between, scale_to, share, spark, stacked
from tests.factories import HOSTILE, NOW


@pytest.mark.parametrize(
    ("top", "scale"), [(0, [0, 1]), (1, [0, 1]), (3, [0, 1, 2, 3]), (26, [0, 10, 20, 30]), (100, [0, 25, 50, 75, 100])]
)
def test_scales_have_round_whole_steps(top: float, scale: list[float]) -> None:
    assert scale_to(top, whole=True) == scale


def test_a_scale_leaves_zero_only_where_differences_would_vanish() -> None:
    assert scale_between(10, 100)[0] == 0
    assert scale_between(1_800_000, 1_840_000)[0] == 1_800_000
    assert scale_between(5, 5)[0] == 0


def test_a_line_over_a_cut_scale_has_no_area() -> None:
    def drawn(*values: float) -> str:
        return line([Mark(NOW + timedelta(days=i), v, "") for i, v in enumerate(values)], "x")

    assert "<polygon" in drawn(10, 100)
    assert "<polygon" not in drawn(1_800_000, 1_840_000)


def test_a_gap_stays_a_gap() -> None:
    assert spark([1, 2, None, 3, 4]).count("<polyline") == 2
    assert spark([None, 5, None]) == ""


def test_something_can_always_be_seen() -> None:
    assert 'width="1.5"' in share(0.001)
    assert share(None) == ""
    tiny = ET.fromstring(histogram([1_000_000, 1, 0]))
    assert [rect.get("height") for rect in tiny.findall("rect")] == ["30.00", "1.20"]


def test_bars_are_as_high_as_their_values() -> None:
    drawn = ET.fromstring(stacked([Stack("a", "tip", (("full", 2), ("failed", 1)))], "label", height=230))
    heights = {rect.get("class"): float(rect.get("height") or 0) for rect in drawn.iter("rect")}
    assert heights["full"] == pytest.approx(2 * 200 / 3 - 0.6, abs=0.1)
    assert heights["failed"] == pytest.approx(200 / 3 - 0.6, abs=0.1)


def test_words_in_pictures_are_harmless() -> None:
    for picture in (
        spark([1, 2], HOSTILE),
        stacked([Stack(HOSTILE, HOSTILE, (("full", 1),))], HOSTILE),
        line([Mark(NOW, 1, HOSTILE), Mark(NOW + timedelta(1), 2, HOSTILE)], HOSTILE),
    ):
        assert "<script" not in picture
        ET.fromstring(picture)
