"""Plots: the right points in the right places, and every text escaped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from benchmark.reports.page import plots
from benchmark.reports.page.plots import Point


def test_the_front_has_what_nothing_beats() -> None:
    points = [
        Point("a", 1, 10),
        Point("b", 2, 9),
        Point("c", 2, 12),
        Point("d", 5, 12),
        Point("e", 9, 13),
        Point("f", 0, 3),
    ]
    assert [point.name for point in plots.pareto(points)] == ["f", "a", "c", "e"]
    assert plots.pareto([]) == []


def test_a_scatter_is_svg_with_better_above_and_cheaper_left() -> None:
    svg = ET.fromstring(
        plots.scatter([Point("<b>&", 10, 20), Point("slow", 1000, 30), Point("free", 0, 5)], "cost", "dB")
    )
    circles = {circle[0].text.split(":")[0]: circle for circle in svg.iter("circle") if circle[0].text}
    place = {name: (float(one.attrib["cx"]), float(one.attrib["cy"])) for name, one in circles.items()}
    assert place["free"][0] < place["<b>&"][0] < place["slow"][0]
    assert place["slow"][1] < place["<b>&"][1] < place["free"][1]
    for x, y in place.values():
        assert 0 < x < plots.WIDTH
        assert 0 < y < plots.HEIGHT
    assert plots.scatter([], "x", "y") == plots.scatter([Point("free", 0, 1)], "x", "y") == ""


def test_labels_never_cover_each_other() -> None:
    points = [Point(f"method number {i}", 10 + i**2, 20 + i % 7 + i / 9) for i in range(30)]
    svg = ET.fromstring(plots.scatter(points, "x", "y"))
    spans = []
    for text in svg.iter("text"):
        if text.attrib["class"] == "label":
            width, x, y = 6.2 * len(text.text or ""), float(text.attrib["x"]), float(text.attrib["y"])
            spans.append((x if text.attrib["text-anchor"] == "start" else x - width, width, y))
    points_at = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in svg.iter("circle")]
    for left, width, y in spans:
        assert not any(left < x < left + width and abs(y - 4 - its_y) < 9 for x, its_y in points_at)
    assert spans
    for i, (left, width, y) in enumerate(spans):
        for other, its_width, its_y in spans[:i]:
            assert abs(y - its_y) > 12 or left >= other + its_width or other >= left + width


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-5), (10.0, 10.0), (-3.0, 40.0), (0.0, 0.0), (1e6, 3e6)])
def test_ticks_are_few_and_in_range(low: float, high: float) -> None:
    for log in (False, True):
        if log and low <= 0:
            continue
        scale = plots._Scale([low, high], 0, 100, log=log)
        ticks = scale.ticks()
        assert 1 <= len(ticks) <= 9
        assert all(-1 <= scale(tick) <= 101 for tick in ticks)


def test_a_narrow_range_of_costs_has_ticks() -> None:
    ticks = plots._Scale([397_745, 482_822], 0, 500, log=True).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(390_000 < tick < 490_000 for tick in ticks)


def test_boxes_and_curves_are_whole() -> None:
    boxes = ET.fromstring(plots.distributions([("<x>", [1, 2, 3, 4, 5, 6, 7])] * 3, "dB"))
    assert len(list(boxes.iter("rect"))) == 3
    lines = [(f"run {i}", [(0.0, 1.0 * i), (10.0, 2.0 * i)]) for i in range(12)] + [("none", [])]
    drawn = plots.curves(lines, "images", "dB")
    assert len(re.findall("<polyline", drawn)) == plots.COLOURS
    assert plots.curves([("none", [])], "x", "y") == plots.distributions([], "x") == ""
