"""`./dev formats [FORMAT ...]`: how far models in each quantized format are from transformers.

"isq" is what is quantized while loading. docs/models/formats.md has what it prints of all. The
status is 1 if a number is too large.
"""

from __future__ import annotations

import sys

import torch
import transformers

from . import isq
from .table import FORMATS, head, rows


def main(names: list[str]) -> int:
    folded = {name.casefold(): name for name in (*FORMATS, "isq")}
    unknown = [name for name in names if name.casefold() not in folded]
    if unknown:
        print(f"no format is called {', '.join(unknown)}; there are {', '.join(folded.values())}")
        return 2
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    wrong = []
    for name in [folded[each.casefold()] for each in names] or folded.values():
        begin = [isq.TITLE, "", isq.ABOUT, "", *isq.HEADER] if name == "isq" else head(name)
        print("\n".join(begin), flush=True)
        for line, good in isq.rows() if name == "isq" else rows(name):
            print(line, flush=True)
            if not good:
                wrong.append(f"{name}: {line}")
        print()
    if wrong:
        print("\n".join(["too far:", *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
