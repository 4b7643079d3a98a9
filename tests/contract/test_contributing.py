"""The method that CONTRIBUTING.md shows keeps what every method promises, and runs from outside the project."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_runs_from_outside_the_project(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "blur.py").write_text(found[1])
    spec = importlib.util.spec_from_file_location("blur", tmp_path / "my_package" / "blur.py")
    assert spec is not None
    (tmp_path / "mine.yaml").write_text(
        "budget: {images: 320, batch_size: 16, selections: 1, test_images: 4}\n"
        "datasets: [Digits, {name: Superimposed, init_args: {size: 32}}]\n"
        "methods: [my_package.blur.Blur]\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "bench", "mine.yaml", "--accelerator", "cpu"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "runs/mine/records").rglob("blur/seed0.json"))) == 2
