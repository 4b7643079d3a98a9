"""``unblend doctor``: what is installed, what is there to compute on, what data are found."""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path

from rich.console import Console

from benchmark.results import provenance


def report(console: Console, root: str | None) -> bool:
    """Print the report.

    Returns:
        Whether every method and data set can be imported.
    """
    import torch

    import datamodules
    import methods

    for package, version in provenance.versions().items():
        console.print(f"{package:15} {version}", highlight=False)
    console.print(f"{'commit':15} {provenance.commit()}", highlight=False)
    console.print(f"{'processor':15} {provenance.processor()}", highlight=False)
    for device in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(device)
        console.print(
            f"{f'cuda:{device}':15} {properties.name}, {properties.total_memory / 2**30:.0f} GiB", highlight=False
        )
    if not torch.cuda.device_count():
        console.print(f"{'cuda':15} no device")
    _data(console, root)
    broken = methods.discover()
    for module in pkgutil.iter_modules(datamodules.__path__, "datamodules."):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            broken[module.name] = f"{type(error).__name__}: {error}"
    for name, what in broken.items():
        console.print(f"broken          {name}: {what}", highlight=False, markup=False)
    return not broken


def _data(console: Console, root: str | None) -> None:
    folder = Path(root or os.environ.get("UNBLEND_DATA") or "data").expanduser()
    if not folder.is_dir():
        console.print(
            f"{'data':15} none: {folder} is no folder; set UNBLEND_DATA. Embedded data need none.", highlight=False
        )
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            files = sum(1 for file in path.rglob("*") if file.is_file())
            console.print(f"{'data':15} {path}: {files} files", highlight=False)
