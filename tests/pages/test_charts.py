import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest

from app.charts import (
    DOTS,
    Bin,
    Mark,
    Spread,
    Stack,
    fan,
    histogram,
    line,
    pair,
    scale_between,
    scale_to,
    share,
    spark,
    stacked,
)
from app.figures import Course, figure, written_out
from app.numerals import number
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


def spread(day: int, *values: float) -> Spread:
    return Spread(NOW + timedelta(days=day), values or None)  # type: ignore[arg-type]


def test_a_fan_has_its_bands_around_its_median_and_leaves_gaps() -> None:
    runs = [
        spread(0, 0, 2, 5, 8, 10),
        spread(1, 0, 2, 5, 8, 10),
        spread(2),
        spread(3, 0, 2, 5, 8, 10),
        spread(4, 0, 2, 5, 8, 10),
    ]
    drawn = ET.fromstring(fan(runs, "label", height=220))
    bands = [each.get("class") for each in drawn.findall("polygon")]
    assert bands == ["outer", "outer", "inner", "inner"] and len(drawn.findall("polyline")) == 2
    heights = [
        {float(point.split(",")[1]) for point in (each.get("points") or "").split()}
        for each in drawn.findall("polygon")
    ]
    assert heights[0] == {10, 200} and sorted(heights[2]) == pytest.approx([48, 162])


def test_a_fan_marks_the_medians_of_runs_that_found_something() -> None:
    runs = [spread(0, 0, 2, 5, 8, 10), spread(1, 0, 2, 5, 8, 10), spread(2)]
    marks = [Mark(each.at, None, "drift", "high" if i else "") for i, each in enumerate(runs)]
    drawn = ET.fromstring(fan(runs, "label", marks, height=220))
    (mark,) = drawn.findall("path")
    assert mark.get("class") == "high" and mark.findtext("title") == "drift"


def test_a_pair_is_scaled_to_the_larger_of_both() -> None:
    drawn = ET.fromstring(pair([Bin(0.5, 0.25, ""), Bin(0, 1, "")], "label", height=30))
    tall = [(each.get("class"), float(each.get("height") or 0)) for each in drawn.findall("rect")]
    assert tall == [("before", 15), ("now", 7.5), ("now", 30)]
    assert pair([Bin(0, 0, "")], "label") == ""


def test_severities_differ_by_shape() -> None:
    marks = [Mark(NOW + timedelta(days=i), i, "", kind) for i, kind in enumerate(("high", "medium", "low", ""))]
    drawn = ET.fromstring(line(marks, "label"))
    corners = {each.get("class"): (each.get("d") or "").count("L") + 1 for each in drawn.findall("path")}
    assert corners == {"high": 4, "medium": 4, "low": 3} and len(drawn.findall("circle")) == 1
    shapes = {each.get("class"): each.get("d") for each in drawn.findall("path")}
    assert len({(shapes[kind] or "").split("L")[0].split(",")[1] for kind in shapes}) == 3


def test_of_many_points_only_what_is_marked_is_drawn() -> None:
    marks = [Mark(NOW + timedelta(days=i), i, "", "high" if i == 9 else "") for i in range(DOTS + 1)]
    assert line(marks[:DOTS], "x").count("<circle") == DOTS - 1
    assert line(marks, "x").count("<circle") == 0 and line(marks, "x").count("<path") == 1


def test_a_figure_needs_two_values() -> None:
    times = [NOW + timedelta(days=i) for i in range(3)]
    assert figure(Course("a", times, [None, 1, None], number)) is None
    drawn = figure(Course("a", times, [1 / 3, None, 123456789.0], number))
    assert drawn is not None and '"y":[0.33333,null,123456789]' in drawn.series and drawn.newest == "123,456,789"


@pytest.mark.parametrize(
    ("value", "written"),
    [(1234567, "1,234,567"), (-2.0, "−2"), (1 / 3, "0.33333333"), (-1e-9, "−1e−09"), (1e300, "1e+300")],
)
def test_numbers_of_the_table_have_their_digits(value: float, written: str) -> None:
    assert written_out(value) == written


def test_words_in_pictures_are_harmless() -> None:
    for picture in (
        pair([Bin(0.5, 0.5, HOSTILE)], HOSTILE),
        fan([spread(0, 1, 2, 3, 4, 5), spread(1, 1, 2, 3, 4, 5)], HOSTILE),
        spark([1, 2], HOSTILE),
        stacked([Stack(HOSTILE, HOSTILE, (("full", 1),))], HOSTILE),
        line([Mark(NOW, 1, HOSTILE), Mark(NOW + timedelta(1), 2, HOSTILE)], HOSTILE),
    ):
        assert "<script" not in picture
        ET.fromstring(picture)
