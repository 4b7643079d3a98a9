"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, contents: bytes) -> None:
    """Write a file under a temporary name, then rename it: no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(contents)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write plain values; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


class _OnceLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that stands twice, of which YAML would keep the last.

    PyYAML's parser in C, where it has it, is ten times as fast.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._written: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # It puts what << merges before the node's own keys, which may name the same: only the first call sees the file.
        if id(node) not in self._written:
            self._written.add(id(node))
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        super().flatten_mapping(node)


def read_yaml(path: Path) -> Any:
    """What a file holds.

    Raises:
        yaml.YAMLError: it is not valid YAML, or a key stands twice in a mapping.
    """
    return yaml.load(path.read_text(), _OnceLoader)


def read_json(path: Path) -> Any:
    """What a file holds; None where it is missing or not JSON."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
