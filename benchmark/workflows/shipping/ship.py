"""Let a cell's trained weights ship with the project."""

from __future__ import annotations

import math
import os
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
from benchmark.files import write_json
from benchmark.plan import catalogue, names
from benchmark.plan.execution import Options
from benchmark.results import checks, collection, records, weights
from benchmark.results.collection import Found
from benchmark.results.records import Record
from benchmark.results.weights import LARGEST, RECORD, TOGETHER, WEIGHTS, Shipped
from benchmark.scoring.judge import judge
from benchmark.scoring.score import image_seed
from benchmark.training import checkpoints
from benchmark.workflows import publish
from benchmark.workflows.shipping import card, measured
from datamodules.base import LayerDataModule
from methods.base import SeparationMethod
from methods.networks.vgg import VGG19Features

HALF = 0.01
"""dB that weights of 16 bits may change a score by."""

SIZES = (40, 56), (90, 71)
"""Pixels of the pictures that tell which weights are needed, and that the file is compared with its checkpoint on."""


def ship(cell: Path, name: str, root: str | None = None) -> Shipped:
    """Write a cell's weights, their card and their record to ``leaderboards/weights/``; what is there is replaced.

    Args:
        cell: folder of the cell, ``SUITE/cells/DATASET/METHOD/seedN``.
        name: ``TASK/NAME``; the task is the data set's.
        root: folder of the data sets; where the cell's are, the weights have 16 bits if that changes the score by
            less than ``HALF``.

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
    options = checkpoints.read(checkpoint)["hyper_parameters"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".") as temporary:
        folder = Path(temporary, target.name)
        write(folder, method, options, found.record.checkpoint_sha256)
        again = checkpoints.trained(folder).eval()
        for picture in pictures(method):
            if not torch.equal(_layers(method, picture), _layers(again, picture)):
                raise UserError(
                    f"{cell} does not ship: what was written gives other layers than {checkpoint}; a method's "
                    "separation may depend on nothing but its options, its weights and its seeds."
                )
        complete(folder, name, found.record, root)
        aside = Path(temporary, "before")
        if target.is_dir():
            os.replace(target, aside)
        os.replace(folder, target)
    return Shipped(name, target / WEIGHTS)


def complete(folder: Path, name: str, record: Record, root: str | None) -> None:
    """Halve the weights in a folder where the score allows it; write their record, what they cost and their card.

    Args:
        folder: with the weights.
        name: ``TASK/NAME``.
        record: of the cell that they come from.
        root: folder of the data sets.

    Raises:
        UserError: the weights are too large.
    """
    moved = _halve(folder, record, root)
    _check_size(name, (folder / WEIGHTS).stat().st_size, checkpoints.trained(folder))
    records.write(folder / RECORD, record)
    measured.write(folder, record, root)
    card.write(folder, name, record, moved)


def _halve(folder: Path, record: Record, root: str | None) -> float | None:
    """Store weights in 16 bits, if the score changes by less than ``HALF``; by how many dB, None where they stay."""
    full = (folder / WEIGHTS).read_bytes()
    state = checkpoints.read(folder)["state_dict"]
    small = {key: value.half() if value.dtype == torch.float32 else value for key, value in state.items()}
    (folder / WEIGHTS).write_bytes(save(small))
    try:
        moved = psnr(checkpoints.trained(folder).eval(), record, root) - record.mean("psnr")
    except UserError:  # the data are not here
        moved = math.inf
    if abs(moved) < HALF:
        return moved
    (folder / WEIGHTS).write_bytes(full)
    return None


def psnr(method: SeparationMethod, record: Record, root: str | None) -> float:
    """PSNR in dB of a method on a record's test images.

    Raises:
        UserError: the data are not here, or are others.
    """
    held = record.config["data"]
    data: LayerDataModule = catalogue.load(held["class_path"])(**{**held["init_args"], "root": root})

    def give(image: str, mixture: Tensor, shape: tuple[int, ...]) -> Tensor:
        with torch.no_grad():
            layers: Tensor = method(mixture[None], [image_seed(record.seed, image)])[0]
        return layers[: shape[0]]

    judged = judge(data, give, metrics=("psnr",))
    if judged is None or judged[1] != record.ids:
        raise UserError(f"the test images of {record.dataset} are not those of its record.")
    return judged[0].mean("psnr", layers=[record.layers.index(layer) for layer in record.targets])


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
    """The folder that weights of a name go to.

    Raises:
        UserError: the name is not ``TASK/NAME``, or names another task.
    """
    task, _, short = name.partition("/")
    own = catalogue.dataset(found.record.config["data"]["class_path"]).folder
    if task != own or not short:
        raise UserError(f"--as {name}: it must be TASK/NAME, and the task is {own}, as in --as {own}/NAME.")
    return weights.FOLDER / own / names.safe_name("--as", "name", short)


def write(folder: Path, method: SeparationMethod, options: Options, checkpoint_sha256: str | None) -> None:
    """Write what a method needs to separate, in float32, and the options to rebuild it, in the layout of the hub.

    A method does not say what is for training only. So pictures are separated, and the weights that no operation
    has touched are left out: critics, averaged weights' originals, batch normalisation's counters. Weights that
    go by several names are kept once. VGG19's, which no checkpoint holds, are taken in, unless they are the random
    ones, so that nothing else is needed.

    Args:
        folder: that is made.
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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(save(kept))
    write_json(folder / checkpoints.CONFIG, about)


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
