"""`tramontane warmup`: everything that is done once on a machine, done now."""

from __future__ import annotations

import time

from tramontane.memory import readable

from .options import add_model, add_threads, open_llm
from .parser import Parser

SUMMARY = """\
Load a model and run one token, so that its kernels are compiled, and its weights kept as they are
prepared: for an image, or before a service starts. See `tramontane cache`."""


def run(argv: list[str]) -> int:
    """Load, and say how long it took."""
    parser = Parser("tramontane warmup", description=SUMMARY)
    add_model(parser)
    add_threads(parser)
    options = parser.parse_args(argv)
    begun = time.perf_counter()
    with open_llm(options) as llm:
        seconds = time.perf_counter() - begun  # the first step's too, which waits for its kernels
        print(f"{llm.inner.name} is ready on {llm.report.device}, after {seconds:.1f} s")
        writing = llm.inner.writing
        if writing is not None and writing.finish():
            print(f"its weights are kept as they are prepared, {readable(writing.nbytes)}")
    return 0
