"""Checkpoints from anywhere: arrays and plain values are read, Python objects are not."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from benchmark.plan.execution import Options
from benchmark.plan.names import safe_name
from datamodules.errors import UserError
from methods.base import SeparationMethod

WEIGHTS, CONFIG = "model.safetensors", "config.json"
"""Of a folder in the layout of the Hugging Face hub: the weights, and what ``read`` gives beside ``state_dict``."""

LARGEST_CONFIG = 1_000_000
"""Bytes of such a configuration that are read, at most."""

VGG19 = "vgg19/"
"""In such a file, before the names of the VGG19 weights that a method was given; no submodule's name has a slash."""


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds: ``state_dict`` and, where Lightning or ``unblend publish --weights`` wrote it, more.

    Args:
        path: of a file that ``unblend fit`` wrote, of a folder that ``unblend publish --weights`` wrote or the weights
            in it, or of a ``.safetensors`` with the weights alone.

    Raises:
        UserError: there is no such file, it is not whole, or it holds Python objects, which could run code.
    """
    if str(path).startswith(("http:/", "https:/")):
        raise UserError(f"checkpoint {path}: download it first, and give the file.")
    if path.is_dir():
        path = path / WEIGHTS
        if not path.is_file():
            raise UserError(f"{path.parent} holds no weights: there is no {WEIGHTS} in it.")
    if not path.is_file():
        raise UserError(f"no checkpoint {path}: `unblend fit` writes runs/fit/best.ckpt.")
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"checkpoint {path} is refused: it holds Python objects, or is no checkpoint at all, and loading such "
            "a file could run any code. Save the weights alone: "
            "torch.save({'state_dict': method.state_dict()}, FILE), or as .safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError, SafetensorError, KeyError, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"checkpoint {path} cannot be read: {what}; it may not be whole.") from error
    if not isinstance(held, dict) or not isinstance(held.get("state_dict"), dict):
        raise UserError(f"checkpoint {path}: it has no state_dict; save {{'state_dict': method.state_dict()}}.")
    return held


def _safetensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    config = path.with_name(CONFIG)
    if path.name != WEIGHTS or not config.is_file():
        return {"state_dict": state}
    if config.stat().st_size > LARGEST_CONFIG:
        raise UserError(
            f"{config} has {config.stat().st_size:,} bytes, at most {LARGEST_CONFIG:,} are read; get it anew."
        )
    try:
        more = json.loads(config.read_bytes())
    except (ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"{config} is no JSON: {what}; get it anew.") from error
    if not isinstance(more, dict):
        raise UserError(f"{config} is no mapping, but {str(more)[:80]}; get it anew.")
    return {**more, "state_dict": state}


def trained(path: Path, method_class: type[SeparationMethod] | None = None) -> SeparationMethod:
    """A method with its weights and options from a checkpoint.

    Args:
        path: of the checkpoint, as ``unblend fit`` or ``unblend publish --weights`` wrote it.
        method_class: of the method; default what the checkpoint names.

    Raises:
        UserError: no checkpoint, one of another method, or one that holds Python objects.
    """
    held = read(path)
    given = held.get("hyper_parameters")
    if given is None:
        raise UserError(
            f"checkpoint {path}: it has weights, but not the options they belong to; give one that fit or ship wrote."
        )
    _check(path, given)
    method_class = method_class or _named(path, given.get("_class_path"))
    try:
        return _rebuilt(method_class, given, held["state_dict"], held.get("left_out"))
    except Exception as error:  # options may be a stranger's, and constructors raise anything
        what = " ".join(str(error).split())[:300]
        raise UserError(f"checkpoint {path} does not fit {method_class.__name__}: {what}.") from error


def _check(path: Path, given: Any) -> None:
    """That options are a mapping, and that their spec says what files are written from."""
    spec = given.get("spec") if isinstance(given, dict) else None
    spec = spec if isinstance(spec, dict) else {}
    layers = spec.get("layers")
    told = isinstance(spec.get("ordered"), bool) and spec.get("channels") in (1, 3)
    if not told or not isinstance(layers, list) or not layers:
        raise UserError(
            f"checkpoint {path}: its options do not say which layers it gives, of 1 or 3 channels; give one that fit "
            "or ship wrote."
        )
    for layer in layers:
        safe_name(f"checkpoint {path}", "layer", layer)


def _named(path: Path, class_path: object) -> type[SeparationMethod]:
    """The method that a checkpoint names; a stranger's may name any class, so only methods are taken."""
    module, _, name = str(class_path).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None) if module.partition(".")[0] == "methods" else None
    except ImportError:
        found = None
    if not isinstance(found, type) or not issubclass(found, SeparationMethod):
        raise UserError(
            f"checkpoint {path}: it names {class_path!r}, which is no method of this project; give --model."
        )
    return found


def _rebuilt(
    method_class: type[SeparationMethod], given: Options, state: dict[str, Tensor], left_out: list[str] | None
) -> SeparationMethod:
    """A method of some options and weights.

    Args:
        method_class: of the method.
        given: its options; those that begin with an underscore are Lightning's own.
        state: its weights, and maybe those of VGG19 that it was given.
        left_out: names of weights that its separation does not need; None of a checkpoint, which has all but VGG19's.
    """
    options = {name: value for name, value in given.items() if not name.startswith("_")}
    vgg19 = {name.removeprefix(VGG19): value for name, value in state.items() if name.startswith(VGG19)}
    if vgg19:
        with TemporaryDirectory() as folder:
            weights = Path(folder, "vgg19.pth")
            torch.save(vgg19, weights)
            method = method_class(**{**options, "features": str(weights)})
        method.hparams["features"] = options["features"]
    elif left_out is not None and "features" in options:  # only its losses look at VGG19's features
        method = method_class(**{**options, "features": "random"})
        method.hparams["features"] = options["features"]
    else:
        method = method_class(**options)
    fill(method, state, left_out or [])
    return method


def fill(method: SeparationMethod, state: dict[str, Tensor], left_out: Sequence[str] = ()) -> None:
    """Give a method its weights; those of VGG19 it has by its options.

    Args:
        method: that the weights belong to.
        state: its weights, and maybe those of VGG19.
        left_out: names of weights that its separation does not need.

    Raises:
        UserError: a weight is missing, or is not the method's.
        RuntimeError: one is of another shape.
    """
    own = {name: value for name, value in state.items() if not name.startswith(VGG19)}
    # Each of the method's is there or was left out on purpose; load_state_dict alone would let counters go missing.
    names, absent = set(method.state_dict()), set(left_out)
    wrong = sorted(((names - absent) ^ own.keys()) | (absent - names))
    if wrong:
        raise UserError(f"{len(wrong)} weights are missing, or not this method's, such as {wrong[0]}")
    method.load_state_dict(own, strict=False)
