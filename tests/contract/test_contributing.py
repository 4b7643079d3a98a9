"""The methods and the data set that CONTRIBUTING.md and the README show run from outside the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_examples_run_from_outside_the_project(tmp_path: Path) -> None:
    method, dataset = blocks("CONTRIBUTING.md")
    _, short = blocks("README.md")
    assert len([line for line in short.splitlines() if line]) <= 15
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "blur.py").write_text(method)
    (tmp_path / "short.py").write_text(short)
    (tmp_path / "my_package" / "mattes.py").write_text(dataset)
    (tmp_path / "mine.yaml").write_text(
        "budget: {images: 320, batch_size: 16, selections: 1, test_images: 4}\n"
        "datasets: [Digits, {name: my_package.mattes.Mattes, init_args: {size: 32}}]\n"
        "methods: [my_package.blur.Blur, {name: short.Blur, variant: short}]\n"
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
    records = tmp_path / "runs/mine/records"
    assert len(list(records.rglob("blur/seed0.json"))) == 2
    assert len(list(records.rglob("*short/seed0.json"))) == 1, "it takes colour, so digits are not for it"
