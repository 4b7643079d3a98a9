"""Training steps in float32 and in bfloat16: ``python -m benchmark.speed.networks.precision [ROUNDS]``.

Each trained method steps by turns in float32 in torch's own layout, and in ``bf16-mixed`` with its channels last, as
``precision: auto`` has it where that pays. Ratios are taken round by round, in one run. A method whose card says that
low precision pays should not lose by it; one whose card says no is measured all the same.
"""

from __future__ import annotations

import copy
import sys

import torch

from benchmark.plan.precision import low_precision_units
from benchmark.speed.networks.bare import keep_memory
from benchmark.speed.networks.methods import CASES, SECONDS, Case, training_step
from benchmark.speed.rows import Row, by_turns, number, quotients, row, show

ROUNDS = 5


def measure(case: Case, rounds: int, seconds: float = SECONDS) -> Row:
    """A method's row.

    Args:
        case: the method and what it is given.
        rounds: at most.
        seconds: of the clock, after which no new round begins.
    """
    torch.manual_seed(0)
    full, mixture = case.make().train(), torch.rand(case.mixture)
    low = copy.deepcopy(full).to(memory_format=torch.channels_last)
    steps = {"full": training_step(full, mixture), "low": training_step(low, mixture, low=True)}
    times = by_turns(steps, rounds, seconds=seconds)
    full_ms, low_ms = (row("", times[name]).figure for name in ("full", "low"))
    pays = full.card.low_precision
    what = f"{case.name}, {' × '.join(map(str, case.mixture))}"
    note = f"{number(full_ms)} ms, {number(low_ms)} ms{'' if pays else '; auto keeps to float32'}"
    return row(what, quotients(times["full"], times["low"]), at_least=1.0 if pays else None, note=note)


def main(rounds: int = ROUNDS) -> list[Row]:
    """All trained methods' rows."""
    torch.set_num_threads(1)
    keep_memory()
    print(f"units for bfloat16: {', '.join(low_precision_units()) or 'none'}")
    return [measure(case, rounds) for case in CASES if case.make().card.trains]


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:2])))
