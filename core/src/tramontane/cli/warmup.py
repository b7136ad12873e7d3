"""`tramontane warmup`: everything that is done once on a machine, done now."""

from __future__ import annotations

import argparse

from .options import add_model, open_llm

SUMMARY = """\
Load a model and put one token through it, so that its kernels are compiled and kept: for an image,
or before a service starts. A model with the same kinds of matrices needs nothing more."""


def run(argv: list[str]) -> int:
    """Load, and say how long it took."""
    parser = argparse.ArgumentParser("tramontane warmup", description=SUMMARY)
    add_model(parser)
    options = parser.parse_args(argv)
    with open_llm(options) as llm:
        report = llm.report
        print(f"{report.path} is ready on {report.device}, after {report.seconds:.1f} s of loading")
    return 0
