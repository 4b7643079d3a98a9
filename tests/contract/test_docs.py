"""The documentation shows every data set and names every real one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import benchmark
from benchmark.commands.main import COMMANDS
from benchmark.plan import catalogue
from benchmark.reports.documents import method_pages
from benchmark.speed.networks import rounding
from datamodules.sets.real import SETS

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


@pytest.mark.parametrize("entry", catalogue.datasets().values(), ids=lambda entry: entry.name)
def test_every_task_has_a_page_that_says_what_is_judged(entry: catalogue.Entry) -> None:
    text = (DOCS / f"tasks/{entry.folder}.md").read_text()
    assert f"](../pictures/{entry.name}.png)" in text
    for heading in ("Image formation", "Data", "How it is judged", "What works, and what does not"):
        assert f"\n## {heading}\n" in text
    assert text.endswith(f"<!-- measured: {entry.name} -->\n")
    protocol = entry.load().protocol if hasattr(entry.load(), "protocol") else "rgb"
    assert f"`{protocol}`" in text.partition("## How it is judged")[2]
    for name in (name for name, held in SETS.items() if held.task == entry.name):
        assert f"`{name}`" in text, f"{entry.name} has the set {name}"


def test_contributing_has_the_sections_that_the_site_shows() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text()
    for title in re.findall(r'\.md": "([^"]+)"', (DOCS / "site.py").read_text()):
        assert method_pages.section(text, title).startswith(f"# {title}\n")
    with pytest.raises(ValueError, match="no section 'Else'"):
        method_pages.section(text, "Else")


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: `make docs`")
    pytest.importorskip("material", reason="mkdocs-material is not installed: `make docs`")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: `make docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "strangers/index.html").read_text()
    assert "class_path" in page
    assert "runs whatever code it names" in page
    reference = (tmp_path / "python/index.html").read_text()
    assert all(f'id="benchmark.workflows.python.{name}"' in reference for name in benchmark.__all__)
    assert "<!-- measured" not in (tmp_path / "tasks/rain/index.html").read_text()
    method = (tmp_path / "methods/nafnet/index.html").read_text()
    assert "<!-- " not in method.partition("<article")[2].partition("</article>")[0]
    assert '<div class="diagram"' in method
    shown = re.findall(r'src="(\.\./\.\./pictures/samples/[^"]+)"', method)
    assert shown
    assert all((tmp_path / "methods/nafnet" / link).is_file() for link in shown)


def test_the_design_names_the_rooms_and_files_that_there_are() -> None:
    text = (DOCS / "design.md").read_text()
    for name in re.findall(r"`((?:benchmark|methods|datamodules|tests)/[\w/.]*)`", text):
        assert (DOCS.parent / name).exists(), f"docs/design.md names {name}"
    for package in ("benchmark", "methods", "datamodules"):
        for room in sorted({path.parent for path in (DOCS.parent / package).glob("*/*.py")}):
            assert f"`{room.relative_to(DOCS.parent)}/`" in text, f"docs/design.md says nothing of {room}"


def test_the_map_of_contributing_names_what_there_is() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text().partition("## The map")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:benchmark|methods|datamodules|docs|tests)/[\w/.]*)`", text))
    assert len(named) >= 8
    for name in named:
        assert (DOCS.parent / name).exists(), f"CONTRIBUTING.md names {name}"


def test_templates_of_issues_name_files_and_commands_that_there_are() -> None:
    templates = sorted((DOCS.parent / ".github").rglob("*.md"))
    assert len(templates) == 5
    for path in templates:
        text = path.read_text()
        for name in re.findall(r"`((?:docs|benchmark)/[\w/.]+)`", text):
            assert (DOCS.parent / name).exists(), f"{path.name} names {name}"
        assert set(re.findall(r"`unblend (\w+)", text)) <= set(COMMANDS)


def test_the_citation_is_of_this_version() -> None:
    held = yaml.safe_load((DOCS.parent / "CITATION.cff").read_text())
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    assert (held["version"], held["license"]) == (project["version"], project["license"])
    assert held["cff-version"] == "1.2.0"
    assert held["authors"]


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=DOCS.parent, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^make ([a-z-]+) +\w", done.stdout, re.MULTILINE))
    makefile = (DOCS.parent / "Makefile").read_text()
    assert listed == set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())


def cells(text: str) -> list[list[str]]:
    """The rows of a page's table."""
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("| ")]


def test_the_speed_of_data_is_what_was_measured() -> None:
    kept = json.loads((DOCS / "data-speed.json").read_text())
    text = (DOCS / "data.md").read_text().partition("## Speed")[2].partition("\n## ")[0]
    (title, *_), _, *rows = cells(text)
    networks = [name.removeprefix("times ") for name in cells(text)[0][4:]]
    assert title == "task"
    assert rows == [
        [label, *(f"{figure:,.0f}" for figure in stages)]
        + [f"{kept['ratios'][label][name]:.1f}" if name in kept["ratios"][label] else "" for name in networks]
        for label, stages in kept["stages"].items()
    ]
    assert set(networks) == {name for own in kept["ratios"].values() for name in own}
    least = min(ratio for own in kept["ratios"].values() for ratio in own.values())
    assert f"the least here is {least:.1f}\n" in text
    assert f"({kept['processor']}, load {kept['load']};" in text


def test_quality_against_time_is_what_was_measured() -> None:
    points = json.loads((DOCS / "learning.json").read_text())["points"]
    text = (DOCS / "performance.md").read_text().partition("## Quality against time")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    minutes = [float(cell.removesuffix(" min")) for cell in rows[0][4:]]
    names = {"U-Net": "UNet"}
    stated = {}
    for row in rows[2:]:
        name = row[0].partition(" ")[0]
        for minute, cell in zip(minutes, row[4:], strict=True):
            if cell:
                stated[names.get(name, name), minute] = (row[3], cell)
    assert stated == {(one["name"], one["minutes"]): (f"{one['trivial']:.2f}", f"{one['psnr']:.2f}") for one in points}
    for one in points:
        if one["tested"] is not None:
            assert f"{one['tested']:.2f}" in text


def test_what_rounding_costs_is_what_was_measured() -> None:
    held = json.loads((DOCS / "rounding.json").read_text())
    text = (DOCS / "performance.md").read_text().partition("## bfloat16")[2].partition("\n## ")[0]
    names = {"UNet": "U-Net"}
    assert [[row[0], *row[4:]] for row in cells(text)[2:]] == [
        [names.get(name, name), f"{one['images']:,}"]
        + [f"{decibels:.2f}" for decibels in (one["trivial"], one["full"], one["low"], one["full"] - one["low"])]
        for name, one in held.items()
    ]
    assert set(held) == set(rounding.METHODS)


def test_what_the_rivals_learnt_is_what_was_measured() -> None:
    held = json.loads((DOCS / "rivals.json").read_text())
    text = (DOCS / "performance.md").read_text().partition("## The rivals learn")[2].partition("\n## ")[0]
    assert cells(text)[2:] == [
        [one["title"], one["task"], f"{one['images']:,}", f"{one['seconds']:,}"]
        + [f"{psnr:.2f}" for psnr in (one["trivial"], *one["curve"])]
        for one in held.values()
    ]
    below = [one["title"] for one in held.values() if max(one["curve"]) <= one["trivial"]]
    assert f"Of {len(held)} rivals {len(held) - len(below)} are above the trivial answer." in text
    assert all(title.partition(",")[0] in text.partition("are above")[2].partition("are below")[0] for title in below)
