"""A chart of some curves as a PNG, for the documentation: looks at equal distances across, quality upwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Curve = Sequence[tuple[float, float]]

WIDTH, HEIGHT, FINER = 720, 420, 2
"""Pixels; it is drawn so many times finer and then reduced, so that lines are smooth."""

LEFT, RIGHT, TOP, BOTTOM = 62, 150, 18, 52
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#bf8700", "#0a7d8c", "#bf3989", "#57606a")


def chart(curves: Mapping[str, Curve], x_title: str, y_title: str, path: Path) -> None:
    """Draw curves and write them.

    Args:
        curves: points (x, y) by name.
        x_title: of the axis of x; all that occur stand at the same distance.
        y_title: of the axis of y.
        path: of the PNG.
    """
    across = sorted({x for points in curves.values() for x, _ in points})
    heights = [y for points in curves.values() for _, y in points]
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50) if (max(heights) - min(heights)) / s <= 8)
    low, high = step * (min(heights) // step), step * (max(heights) // step + 1)
    image = Image.new("RGB", (FINER * WIDTH, FINER * HEIGHT), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(FINER * 13)

    def x_of(x: float) -> float:
        place = across.index(x) / max(1, len(across) - 1)  # looks at 1, 2, 5, 10 …: each at the same distance
        return FINER * (LEFT + place * (WIDTH - LEFT - RIGHT))

    def y_of(y: float) -> float:
        return FINER * (TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM))

    right, foot = FINER * (WIDTH - RIGHT), FINER * (HEIGHT - BOTTOM)
    for k in range(round((high - low) / step) + 1):
        level = y_of(low + k * step)
        pen.line([(FINER * LEFT, level), (right, level)], fill="#d0d7de", width=FINER)
        pen.text((FINER * (LEFT - 8), level), f"{low + k * step:g}", fill="#57606a", font=font, anchor="rm")
    for x in across:
        pen.line([(x_of(x), FINER * TOP), (x_of(x), foot)], fill="#d0d7de", width=FINER)
        pen.text((x_of(x), foot + FINER * 6), f"{x:g}", fill="#57606a", font=font, anchor="ma")
    pen.text(((FINER * LEFT + right) / 2, FINER * (HEIGHT - 8)), x_title, fill="black", font=font, anchor="md")
    title = Image.new("L", (FINER * HEIGHT, FINER * 20), 0)
    ImageDraw.Draw(title).text((FINER * HEIGHT / 2, 0), y_title, fill=255, font=font, anchor="ma")
    image.paste("black", (FINER * 4, 0), title.rotate(90, expand=True))
    ends = []
    for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
        places = [(x_of(x), y_of(y)) for x, y in sorted(points)]
        pen.line(places, fill=colour, width=2 * FINER, joint="curve")
        for x, y in places:
            pen.ellipse([x - 3 * FINER, y - 3 * FINER, x + 3 * FINER, y + 3 * FINER], fill=colour)
        ends.append((places[-1][1], name, colour))
    below = 0.0
    for level, name, colour in sorted(ends):  # names beside their curves, none on top of another
        below = max(level, below + FINER * 15)
        pen.text((right + FINER * 10, below), name, fill=colour, font=font, anchor="lm")
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).quantize(64).save(path, optimize=True)
