"""`./dev parity media [NAME ...]`: how far each configuration of the families that take images,
sounds or videos is from transformers.

docs/models/media-parity.md has the table. The status is 1 if a number is too large.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
import transformers

from .compared import CASES, DEVICES, differences
from .latents import ALL
from .sounds import HEARING, heard
from .watching import WATCHING, watched

TOLERANCE = 1e-4
HEADER = (
    f"| configuration | {' | '.join(CASES)} | tokens |",
    "|---|" + "---|" * len(CASES) + "---|",
)


def row(name: str) -> tuple[str, bool]:
    """A line of the table, and whether all of it is right."""
    with tempfile.TemporaryDirectory() as folder:
        if name in HEARING:
            found = list(differences(HEARING[name], Path(folder), three=heard))
        elif name in WATCHING:
            found = list(differences(WATCHING[name], Path(folder), three=watched))
        else:
            found = list(differences(ALL[name], Path(folder)))
    errors = {(each.case, each.device): each.logits for each in found}
    cells = [
        " / ".join(f"{errors[case, device]:.0e}".replace("e-0", "e-") for device in DEVICES)
        for case in CASES
    ]
    same = all(each.tokens for each in found)
    right = same and all(error < TOLERANCE for error in errors.values())
    return f"| {name} | {' | '.join(cells)} | {'equal' if same else 'differ'} |", right


def main(names: list[str]) -> int:
    every = [*ALL, *HEARING, *WATCHING]
    unknown = sorted({*names} - {*every})
    if unknown:
        print(f"no configuration is called {', '.join(unknown)}; there are {', '.join(every)}")
        return 2
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    print("\n".join(HEADER), flush=True)
    wrong = []
    for name in names or every:
        line, right = row(name)
        print(line, flush=True)
        if not right:
            wrong.append(name)
    if wrong:
        print(f"not within {TOLERANCE:g}, or other tokens: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
