"""The tutorial's lines run as they stand, on fewer images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/tutorial.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def with_the_idea(written: str) -> str:
    """A method's file with the network of the tutorial in the place of its own."""
    (idea,) = blocks("python")
    made, count = re.subn(
        r"        self\.network = nn\.Sequential\(\n.*?\n        \)\n", lambda _: idea, written, flags=re.DOTALL
    )
    assert count == 1
    return made


def test_the_idea_fits_into_the_file_that_is_written() -> None:
    template = (ROOT / "benchmark/commands/templates/method.py.txt").read_text()
    made = with_the_idea(template)
    assert "dilation=4" in made
    compile(made, "my_net.py", "exec")


@pytest.mark.slow("test_the_idea_fits_into_the_file_that_is_written")
def test_every_line_runs(tmp_path: Path) -> None:
    (suite,) = blocks("yaml")
    begin, check, bench, compare, variant = blocks("sh")
    less = suite.replace("images: 4000", "images: 640").replace(
        "selections: 4, test_images: 100", "selections: 1, test_images: 8"
    )
    assert less.count("640") == 1
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, module in {"unblend": "-m benchmark", "python": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (tools / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }

    def run(lines: str, folder: Path) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(begin, tmp_path)
    mine = tmp_path / "mine"
    assert "passed" in run(check, mine)
    method = mine / "my_net.py"
    method.write_text(with_the_idea(method.read_text()))
    (mine / "ten.yaml").write_text(less)
    said = run(bench, mine)
    assert "MyNet has " in said
    assert "page: runs/ten/index.html" in said
    assert "MyNet minus U-Net" in run(compare, mine)
    assert "MyNet, wide" in run(variant, mine)
