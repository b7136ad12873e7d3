"""`./dev parity [FAMILY ...]`: how far each family is from transformers, for each kind of file.

docs/models/parity.md has the table of all families. The status is 1 if a number is too large.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import torch
import transformers

from .families import FAMILIES
from .paths import COLUMNS, DEVICES, TOLERANCE, difference, everything, expected

HEADER = ["| family | comparisons | " + " | ".join(COLUMNS) + " |",
          "|---|---|" + "---|" * len(COLUMNS)]  # fmt: skip


def row(family: str) -> tuple[str, float]:
    """A family's line of the table, and its largest number."""
    worst: dict[tuple[str, str], float] = defaultdict(float)
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for column, theirs, path in everything(family, Path(folder)):
            right = expected(theirs)
            for device in DEVICES:
                found = difference(right, path, device)
                # a comparison with NaN is false: it must not be lost
                kept = worst[column, device]
                worst[column, device] = found if not found <= kept else kept
                count += 1
    cells = [
        " / ".join(f"{worst[column, device]:.0e}".replace("e-0", "e-") for device in DEVICES)
        if (column, DEVICES[0]) in worst
        else "-"
        for column in COLUMNS
    ]
    return f"| {family} | {count} | {' | '.join(cells)} |", max(worst.values(), key=_bad)


def _bad(value: float) -> float:
    return value if value == value else float("inf")


def main(families: list[str]) -> int:
    unknown = sorted({*families} - {*FAMILIES})
    if unknown:
        print(f"no family is called {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
        return 2
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    print("\n".join(HEADER), flush=True)
    wrong = []
    for family in families or FAMILIES:
        line, worst = row(family)
        print(line, flush=True)
        if not worst < TOLERANCE:
            wrong.append(family)
    if wrong:
        print(f"more than {TOLERANCE:.0e}: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
