"""The pictures of docs/data.md come from a script, and show what the generators make now."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.plan import catalogue
from benchmark.workflows import pictures
from datamodules.statistics.compare import SUBJECTS, RainStatistics


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


@pytest.mark.parametrize("name", catalogue.datasets())
def test_a_tasks_picture_shows_what_is_generated_now(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNBLEND_DATA", raising=False)
    monkeypatch.setattr(pictures, "SUBJECTS", {})
    assert pictures.main([name, "--out", str(tmp_path)]) == 0
    made, kept = (pixels(folder / f"{name}.png") for folder in (tmp_path, pictures.FOLDER))
    assert made.shape == kept.shape
    assert np.abs(made - kept).mean() < 0.1, f"docs/pictures/{name}.png is old: run `make pictures`"


def test_histograms_are_drawn_beside_it_where_their_sets_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNBLEND_DATA", str(tmp_path))
    monkeypatch.setitem(SUBJECTS, "Rain", partial(RainStatistics, count=2))
    assert pictures.main(["Rain", "Clouds", "--out", str(tmp_path / "pictures")]) == 0
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {"Rain.png", "statistics-rain.png", "Clouds.png"}
    assert pixels(tmp_path / "pictures/statistics-rain.png").std() > 10
    assert "Clouds: no histograms without bsds500, rice1: set UNBLEND_DATA." in capsys.readouterr().err


def test_an_unknown_task_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert pictures.main(["Rian"]) == 2
    said = capsys.readouterr().err
    assert "did you mean Rain" in said
    assert said.count("\n") == 1
