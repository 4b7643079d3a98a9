"""The documentation shows every data set and names every real one."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark import catalogue
from datamodules.sets import SETS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_task_is_shown_and_every_real_set_named() -> None:
    text = (DOCS / "data.md").read_text()
    for name in catalogue.datasets():
        assert f"](pictures/{name}.png)" in text, f"run `make pictures` and show {name} in docs/data.md"
    for name in SETS:
        assert f"`{name}`" in text


def test_every_picture_is_there() -> None:
    for page in DOCS.rglob("*.md"):
        for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / link).is_file(), f"{page.name} shows {link}"
