"""What the README says can be done can be done: its commands, its Python, its picture, its links."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from benchmark.commands.main import COMMANDS
from datamodules.pictures.sources import packaged_file

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
HERO = ROOT / "docs/pictures/hero.jpg"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_it_is_short_and_begins_with_a_picture() -> None:
    assert README.count("\n") <= 110
    assert README.index("docs/pictures/hero.jpg") < 100
    assert HERO.stat().st_size <= 300_000


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)", README) + re.findall(r'src="([^"]+)"', README):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_written_down_exists(page: Path) -> None:
    text = page.read_text()
    code = re.findall(r"```.*?```", text, re.DOTALL) + re.findall(r"`[^`\n]+`", text)
    commands = {name for one in code for name in re.findall(r"(?:^|[`\s/])unblend ([a-z]+)\b", one)}
    assert commands <= set(COMMANDS)
    targets = {name for one in code for name in re.findall(r"(?:^|[`\n])make ([a-z-]+)\b", one)}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_its_lines_of_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert code.count("\n") <= 10
    with Image.open(packaged_file("skimage", "data/chelsea.png")) as cat:
        cat.resize((96, 64)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    held: dict[str, object] = {}
    exec(code, held)
    assert {name: layer.shape for name, layer in held["layers"].items()} == dict.fromkeys(
        ["background", "rain"], (3, 64, 96)
    )
    assert held["batch"].layers.shape == (4, 2, 3, 64, 64)
    means, image = capsys.readouterr().out.splitlines()
    protocol, mean = means.split()
    assert protocol == "y@1"
    assert float(mean) > 25
    assert image in {row["image"] for row in held["rows"]}


@pytest.mark.slow("test_it_is_short_and_begins_with_a_picture")
def test_its_picture_is_what_the_weights_that_ship_give() -> None:
    drawn = runpy.run_path(str(ROOT / "docs/hero.py"), run_name="hero")["draw"]()
    with Image.open(HERO) as committed:
        difference = ImageChops.difference(drawn, committed.convert("RGB"))
    assert max(ImageStat.Stat(difference).mean) < 3, "run `python docs/hero.py`, and look at it"
