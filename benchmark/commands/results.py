"""``unblend leaderboard | compare``: what records say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console


def leaderboard(
    folder: str | None = None,
    *,
    latex: bool = False,
    protocol: str | None = None,
    paper: list[str] | None = None,
    runs: str = "runs",
) -> None:
    """Build tables and the page from records; or print a --paper's table beside them.

    Args:
        folder: of a suite, such as runs/quick; default all of leaderboards/.
        latex: write results.tex (booktabs), too.
        protocol: print the tables under this one, such as y or rgb@1; files keep each task's own, but results.tex.
        paper: instead, print a published table, such as dmgn-2, beside what was measured here; `all` prints every
            one, and without a name they are listed.
        runs: folder of this machine's runs, which --paper looks through.
    """
    console = Console(highlight=False)
    if paper is None:
        from benchmark.reports import leaderboard

        place = None if folder is None else Path(folder)
        leaderboard.build(place, console, latex=latex, protocol=protocol)
        return
    from benchmark.reports import published
    from benchmark.results import collection

    if not paper:
        published.list_all(console)
        return
    tables = published.of_names(paper)
    if folder is None:
        found = collection.everything(Path(runs))
    else:
        found = [one.record for one in collection.collect([Path(folder)])]
    for table in tables:
        published.show(table, found, console)


def compare(
    a: str,
    b: str,
    *,
    suite: str | None = None,
    metric: Literal["psnr", "ssim", "lmse", "mse"] = "psnr",
    protocol: str | None = None,
    layer: str | None = None,
    runs: str = "runs",
) -> None:
    """Compare two methods image by image: is one better, by how much, beyond noise?

    Args:
        a: a method's name in records, such as unet, or a folder of its records.
        b: likewise.
        suite: only of this one; default every suite that has both.
        metric: that is compared.
        protocol: such as y or rgb@1; default each task's own.
        layer: such as reflection; default those that each task is for.
        runs: folder of this machine's runs.
    """
    from benchmark.reports import compare

    console = Console(highlight=False)
    compare.between(a, b, Path(runs), console, suite=suite, metric=metric, protocol=protocol, layer=layer)
