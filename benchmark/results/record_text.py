"""A record's arrays as text, an image a line: what ``git diff`` shows (``.gitattributes``, ``make setup``).

``python -m benchmark.results.record_text FILE.safetensors``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.errors import UserError
from benchmark.results import records


def main(path: str) -> None:
    """Print the scores of a file; of one that is not whole, one line that says so: a diff must not end there."""
    try:
        sys.stdout.write(records.table(Path(path)))
    except (UserError, OSError) as error:
        print(" ".join(str(error).split()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m benchmark.results.record_text FILE.safetensors", file=sys.stderr)
        raise SystemExit(2)
    main(sys.argv[1])
