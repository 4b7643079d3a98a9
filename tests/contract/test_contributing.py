"""The method and the data set that CONTRIBUTING.md shows run from outside the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_examples_run_from_outside_the_project(tmp_path: Path) -> None:
    method, dataset = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "blur.py").write_text(method)
    (tmp_path / "my_package" / "mattes.py").write_text(dataset)
    (tmp_path / "mine.yaml").write_text(
        "budget: {images: 320, batch_size: 16, selections: 1, test_images: 4}\n"
        "datasets: [Digits, {name: my_package.mattes.Mattes, init_args: {size: 32}}]\n"
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
