"""Plots as SVG text: quality against cost, distributions over images, training curves.

Colours and fonts come from the page's style sheet, so that plots follow light and dark. Every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 46
COLOURS = 8
"""Classes ``c0`` … ``c7`` of the style sheet."""


@dataclass(frozen=True)
class Point:
    """A method in a plot of quality against cost.

    Attributes:
        name: for people.
        cost: at least 0.
        quality: larger is better.
    """

    name: str
    cost: float
    quality: float


def pareto(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in cost and in quality at once, cheapest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.quality)):
        if not front or point.quality > front[-1].quality:
            front.append(point)
    return front


class _Scale:
    """Linear or logarithmic, from values to pixels."""

    def __init__(self, values: Sequence[float], start: float, stop: float, *, log: bool = False) -> None:
        self.log = log
        found = [math.log10(value) if log else value for value in values]
        low, high = min(found), max(found)
        margin = 0.06 * (high - low) or (0.5 if log else max(1e-9, 0.05 * abs(high)) or 1)
        self.low, self.high, self.start, self.stop = low - margin, high + margin, start, stop

    def __call__(self, value: float) -> float:
        position = math.log10(value) if self.log else value
        return round(self.start + (position - self.low) / (self.high - self.low) * (self.stop - self.start), 1)

    def ticks(self) -> list[float]:
        """Round numbers in the range."""
        if self.log:
            exponents = range(math.ceil(self.low), math.floor(self.high) + 1)
            if len(exponents) >= 2:
                step = math.ceil(len(exponents) / 6)
                return [10.0**exponent for exponent in exponents][::step]
            tens = [10.0**e * m for e in range(math.floor(self.low), math.ceil(self.high) + 1) for m in (1, 2, 5)]
            inside = [value for value in tens if self.low <= math.log10(value) <= self.high]
            return inside if len(inside) >= 2 else _even(10**self.low, 10**self.high)
        return _even(self.low, self.high)


def _even(low: float, high: float) -> list[float]:
    """At most seven round numbers at equal distances."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 6)
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def short(value: float) -> str:
    """A number as an axis has it: 12k, 3.4M, 0.01."""
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{sign}"
    return f"{value:.3g}"


def scatter(points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Quality against cost on a logarithmic axis, with the Pareto front; free methods stand at its left end.

    Args:
        points: of all methods.
        x_title: of the axis of costs.
        y_title: of the axis of quality.
    """
    paid = [point.cost for point in points if point.cost > 0]
    if not points or not paid:
        return ""
    free = any(point.cost <= 0 for point in points)
    left = LEFT + (44 if free else 0)
    x = _Scale(paid, left, WIDTH - RIGHT, log=True)
    y = _Scale([point.quality for point in points], HEIGHT - BOTTOM, TOP)

    def across(point: Point) -> float:
        return x(point.cost) if point.cost > 0 else LEFT + 22.0

    front = pareto(points)
    parts = _axes(x, y, x_title, y_title, left=LEFT)
    if free:
        parts.append(f'<text class="tick" text-anchor="middle" x="{LEFT + 22}" y="{HEIGHT - BOTTOM + 16}">none</text>')
        parts.append(f'<line class="grid" x1="{left}" x2="{left}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    steps = " ".join(f"{across(point)},{y(point.quality)}" for point in front)
    parts.append(f'<polyline class="front" points="{steps}"/>')
    taken: list[tuple[float, float, float]] = [(across(p) - 6, across(p) + 6, y(p.quality)) for p in points]
    for point in sorted(points, key=lambda point: -point.quality):
        on_front = point in front
        tip = f"{escape(point.name)}: {short(point.cost)}, {point.quality:.2f}"
        marker = "point best" if on_front else "point"
        parts.append(
            f'<circle class="{marker}" cx="{across(point)}" cy="{y(point.quality)}" r="{5 if on_front else 4}">'
            f"<title>{tip}</title></circle>"
        )
    for point in sorted(points, key=lambda point: (point not in front, -point.quality)):
        parts += _label(point.name, across(point), y(point.quality), taken)
    return _svg(parts, f"{y_title} against {x_title}", WIDTH, HEIGHT)


def _label(name: str, x: float, y: float, taken: list[tuple[float, float, float]]) -> list[str]:
    """A name beside its point, where it covers no other name and no point; else none.

    Args:
        name: of the point.
        x: of the point.
        y: of the point.
        taken: left end, right end and height of what is there; the name is added.
    """
    text = name if len(name) <= 26 else name[:25] + "…"
    width = 6.2 * len(text)
    for anchor, left in (("start", x + 8), ("end", x - 8 - width)):
        inside = left >= LEFT and left + width <= WIDTH - 2
        clear = all(abs(y - other) > 13 or left > end or left + width < start for start, end, other in taken)
        if inside and clear:
            taken.append((left, left + width, y))
            at = x + 8 if anchor == "start" else x - 8
            return [f'<text class="label" text-anchor="{anchor}" x="{at}" y="{y + 4:.1f}">{escape(text)}</text>']
    return []


def distributions(rows: Sequence[tuple[str, Sequence[float]]], x_title: str) -> str:
    """One box for each method: median, quartiles, 5th and 95th percentile, and the ends.

    Args:
        rows: name, and the values at the 0th, 5th, 25th, 50th, 75th, 95th and 100th percentile.
        x_title: of the axis.
    """
    if not rows:
        return ""
    step, left = 24, 204
    height = TOP + step * len(rows) + BOTTOM
    x = _Scale([value for _, values in rows for value in (values[0], values[-1])], left, WIDTH - RIGHT)
    parts = []
    for value in x.ticks():
        parts.append(f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" text-anchor="middle" x="{x(value)}" y="{height - BOTTOM + 16}">{short(value)}</text>'
        )
    for place, (name, values) in enumerate(rows):
        middle = TOP + step * place + step / 2
        low, p5, q1, median, q3, p95, high = (x(value) for value in values)
        text = name if len(name) <= 25 else name[:24] + "…"
        tip = f"{escape(name)}: median {values[3]:.2f}, half of the images {values[2]:.2f} to {values[4]:.2f}"
        parts.append(
            f'<g><title>{tip}</title><text class="label" text-anchor="end" x="{left - 8}" y="{middle + 4}">'
            f'{escape(text)}</text><line class="whisker" x1="{p5}" x2="{p95}" y1="{middle}" y2="{middle}"/>'
            f'<rect class="box" x="{q1}" y="{middle - 7}" width="{max(1, round(q3 - q1, 1))}" height="14"/>'
            f'<line class="median" x1="{median}" x2="{median}" y1="{middle - 7}" y2="{middle + 7}"/>'
            f'<circle class="end" cx="{low}" cy="{middle}" r="1.5"/>'
            f'<circle class="end" cx="{high}" cy="{middle}" r="1.5"/>'
            "</g>"
        )
    parts.append(
        f'<text class="axis" text-anchor="middle" x="{(left + WIDTH) / 2}" y="{height - 8}">{escape(x_title)}</text>'
    )
    return _svg(parts, f"Distribution over test images: {x_title}", WIDTH, height)


def curves(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_title: str, y_title: str) -> str:
    """Learning curves, at most as many as there are colours.

    Args:
        lines: name, and points (images seen, quality), for each run.
        x_title: of the axis of images.
        y_title: of the axis of quality.
    """
    lines = [(name, points) for name, points in lines if points][:COLOURS]
    if not lines:
        return ""
    x = _Scale([point[0] for _, points in lines for point in points], LEFT, WIDTH - RIGHT)
    y = _Scale([point[1] for _, points in lines for point in points], HEIGHT - BOTTOM, TOP)
    parts = _axes(x, y, x_title, y_title, left=LEFT)
    for place, (name, points) in enumerate(lines):
        steps = " ".join(f"{x(a)},{y(b)}" for a, b in points)
        parts.append(
            f'<g class="c{place}"><title>{escape(name)}</title><polyline class="curve" points="{steps}"/>'
            + "".join(f'<circle cx="{x(a)}" cy="{y(b)}" r="2.5"/>' for a, b in points)
            + "</g>"
        )
    return _svg(parts, f"{y_title} against {x_title}", WIDTH, HEIGHT)


def _axes(x: _Scale, y: _Scale, x_title: str, y_title: str, *, left: float) -> list[str]:
    parts = []
    for value in x.ticks():
        parts.append(f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" text-anchor="middle" x="{x(value)}" y="{HEIGHT - BOTTOM + 16}">{short(value)}</text>'
        )
    for value in y.ticks():
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - RIGHT}" y1="{y(value)}" y2="{y(value)}"/>')
        parts.append(
            f'<text class="tick" text-anchor="end" x="{left - 6}" y="{y(value) + 4:.1f}">{short(value)}</text>'
        )
    centre = (left + WIDTH - RIGHT) / 2
    parts.append(f'<text class="axis" text-anchor="middle" x="{centre}" y="{HEIGHT - 8}">{escape(x_title)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {middle})"'
    parts.append(f'<text class="axis" text-anchor="middle" x="14" y="{middle}" {turned}>{escape(y_title)}</text>')
    return parts


def _svg(parts: Sequence[str], title: str, width: float, height: float) -> str:
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
