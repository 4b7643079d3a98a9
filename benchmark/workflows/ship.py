"""Let a cell's trained weights ship with the project."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.errors import UserError
from benchmark.plan import catalogue, names
from benchmark.results import checks, collection, records, weights
from benchmark.results.collection import Found
from benchmark.results.weights import LARGEST, RECORD, TOGETHER, WEIGHTS, Shipped
from benchmark.training import checkpoints
from benchmark.workflows import publish
from methods.base import SeparationMethod
from methods.networks.vgg import VGG19Features

SIZES = (40, 56), (90, 71)
"""Pixels of the pictures that tell which weights are needed, and that the file is compared with its checkpoint on."""


def ship(cell: Path, name: str) -> Shipped:
    """Write a cell's weights and its record to ``leaderboards/weights/``; what is there by that name is replaced.

    Args:
        cell: folder of the cell, ``SUITE/cells/DATASET/METHOD/seedN``.
        name: ``TASK/NAME``; the task is the data set's.

    Raises:
        UserError: a cell or record that is not sound, a name that does not fit, or weights that are too large.
    """
    found = record_of(cell)
    target = place(found, name)
    refused = [*publish.problems(found), *publish.images([found], collection.collect([found.suite_folder]))]
    if refused:
        raise UserError(f"{cell} does not ship: {'; '.join(refused)}.")
    checkpoint = cell / "best.ckpt"
    method = checkpoints.trained(checkpoint).eval()
    contents = packed(method, checkpoints.read(checkpoint)["hyper_parameters"], found.record.checkpoint_sha256)
    _check_size(name, len(contents), method)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        written = Path(folder, target.name)
        written.write_bytes(contents)
        again = checkpoints.trained(written).eval()
        for picture in pictures(method):
            if not torch.equal(_layers(method, picture), _layers(again, picture)):
                raise UserError(
                    f"{cell} does not ship: what was written gives other layers than {checkpoint}; a method's "
                    "separation may depend on nothing but its options, its weights and its seeds."
                )
        # The record first: whoever sees the weights has it.
        shutil.rmtree(target.parent / "images", ignore_errors=True)
        records.write(target.with_name(RECORD), found.record)
        written.chmod(0o644)
        os.replace(written, target)
    return Shipped(name, target)


def record_of(cell: Path) -> Found:
    """The record of a cell's folder.

    Raises:
        UserError: it is no cell's folder, or has no sound record of something that was trained.
    """
    folder = cell.absolute()
    if len(folder.parts) < 6 or folder.parents[2].name != "cells":
        raise UserError(f"{cell} is no folder of a cell: give one such as runs/SUITE/cells/DATASET/METHOD/seed0.")
    path = (folder.parents[3] / "records" / folder.relative_to(folder.parents[2])).with_suffix(".json")
    found = Found(checks.read(path), path, False)
    if found.record.checkpoint_sha256 is None:
        raise UserError(f"{cell}: {found.record.title} is not trained, so that it has no weights to ship.")
    return found


def place(found: Found, name: str) -> Path:
    """Where weights of a name go.

    Raises:
        UserError: the name is not ``TASK/NAME``, or names another task.
    """
    task, _, short = name.partition("/")
    own = catalogue.dataset(found.record.config["data"]["class_path"]).folder
    if task != own or not short:
        raise UserError(f"--as {name}: it must be TASK/NAME, and the task is {own}, as in --as {own}/NAME.")
    return weights.FOLDER / own / names.safe_name("--as", "name", short) / WEIGHTS


def packed(method: SeparationMethod, options: dict[str, Any], checkpoint_sha256: str | None) -> bytes:
    """A ``.safetensors`` file of what a method needs to separate, in float32, with the options to rebuild it.

    A method does not say what is for training only. So pictures are separated, and the weights that no operation
    has touched are left out: critics, averaged weights' originals, batch normalisation's counters. Weights that
    go by several names are kept once. VGG19's, which no checkpoint holds, are taken in, unless they are the random
    ones, so that nothing else is needed.

    Args:
        method: ready to separate, on the CPU.
        options: its constructor's, and its class path, as a checkpoint has them.
        checkpoint_sha256: of the checkpoint that the weights come from.
    """
    with _Touched() as touched:
        for picture in pictures(method):
            _layers(method, picture)
    state = method.state_dict()
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, torch.Size]] = set()
    for name, tensor in [*state.items(), *_vgg19(method)]:
        if not isinstance(tensor, Tensor) or tensor.untyped_storage().data_ptr() not in touched.storages:
            continue
        if (tensor.data_ptr(), tensor.shape) not in seen:
            seen.add((tensor.data_ptr(), tensor.shape))
            kept[name] = (tensor.float() if tensor.is_floating_point() else tensor).detach().contiguous()
    about = {
        "hyper_parameters": {name: value for name, value in options.items() if name != "_instantiator"},
        "left_out": sorted(state.keys() - kept.keys()),
        "checkpoint_sha256": checkpoint_sha256,
    }
    return save(kept, {checkpoints.METADATA: json.dumps(about, allow_nan=False)})


class _Touched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes which memory operations read.

    Attributes:
        storages: addresses.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        self.storages |= {value.untyped_storage().data_ptr() for value in inputs}
        return func(*args, **(kwargs or {}))


def _vgg19(method: SeparationMethod) -> Iterator[tuple[str, Tensor]]:
    """VGG19's frozen weights inside a method, named as in its own state dict."""
    if method.hparams.get("features") == "random":
        return
    for module in method.modules():
        if isinstance(module, VGG19Features):
            for name, tensor in module.named_buffers():
                kind = name.rstrip("0123456789")
                if kind in ("weight", "bias"):
                    yield f"{checkpoints.VGG19}{name.removeprefix(kind)}.{kind}", tensor


def pictures(method: SeparationMethod) -> list[Tensor]:
    """(1, C, h, w) for each of ``SIZES``."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, method.hparams["spec"]["channels"], *size, generator=generator) for size in SIZES]


def _layers(method: SeparationMethod, picture: Tensor) -> Tensor:
    with torch.no_grad():
        layers: Tensor = method(picture)
    return layers


def megabytes(size: int) -> str:
    """For people."""
    return f"{size / 1e6:.1f} MB"


def _check_size(name: str, size: int, method: SeparationMethod) -> None:
    """That a file, and all files with it, are as small as they must be."""
    if size > LARGEST:
        vgg19 = sum(4 * tensor.numel() for _, tensor in _vgg19(method))
        share = f", {megabytes(vgg19)} of them VGG19's: use fewer levels," if vgg19 else ":"
        raise UserError(
            f"{name} would have {megabytes(size)}, at most {megabytes(LARGEST)} ship{share} train it with a smaller "
            "width (init_args of its row in the suite)."
        )
    others = sum(one.path.stat().st_size for one in weights.shipped().values() if one.name != name)
    if others + size > TOGETHER:
        raise UserError(
            f"{name} would have {megabytes(size)}, those that ship have {megabytes(others)}, all together at most "
            f"{megabytes(TOGETHER)}: train it with a smaller width, or remove what is worth less from {weights.FOLDER}."
        )
