"""Checkpoints from anywhere: arrays and plain values are read, Python objects are not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from datamodules.errors import UserError


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds: ``state_dict`` and, where Lightning wrote it, more.

    Args:
        path: of a file that ``unblend fit`` wrote, or of a ``.safetensors`` with the weights alone.

    Raises:
        UserError: there is no such file, it is not whole, or it holds Python objects, which could run code.
    """
    if str(path).startswith(("http:/", "https:/")):
        raise UserError(f"checkpoint {path}: download it first, and give the file.")
    if not path.is_file():
        raise UserError(f"no checkpoint {path}: `unblend fit` writes runs/fit/best.ckpt.")
    try:
        if path.suffix == ".safetensors":
            return {"state_dict": load_file(path)}
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
