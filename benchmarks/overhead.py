"""What Python costs a decode step: the time between the end of one step's kernels and the beginning
of the next one's, with everything that the engine does there.

    python benchmarks/overhead.py MODEL ... [--gen 200] [--threads 2]

Prints a line for each model: medians, in milliseconds, and Python's share of a step.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import time
from typing import Any

from tramontane import LLM
from tramontane.sampling_params import SamplingParams
from tramontane_backend_cpu.step.pool import Pool


def watched(spans: list[tuple[float, float]]) -> None:
    """Note beginning and end of every run of kernels."""
    run = Pool.run

    def noted(*arguments: Any) -> None:
        started = time.perf_counter()
        run(*arguments)
        spans.append((started, time.perf_counter()))

    Pool.run = noted  # type: ignore[method-assign,assignment]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--gen", type=int, default=200)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    spans: list[tuple[float, float]] = []
    watched(spans)
    for path in options.models:
        with LLM(path, num_ctx=options.gen + 64, threads=options.threads) as llm:
            prompt = random.choices(range(llm.inner.tokenizer.vocab_size // 2), k=16)
            params = SamplingParams(temperature=0, max_tokens=options.gen, ignore_eos=True)
            llm.generate(prompt, params)
            spans.clear()
            llm.generate(prompt, params)
            # the first run is the prompt's
            kernels = statistics.median(end - start for start, end in spans[1:])
            pairs = itertools.pairwise(spans[1:])
            python = statistics.median(after - end for (_, end), (after, _) in pairs)
        share = python / (python + kernels)
        print(
            f"{os.path.basename(path)}: kernels {kernels * 1e3:.2f} ms, "
            f"Python {python * 1e3:.3f} ms, {share:.1%} of a step",
            flush=True,
        )


if __name__ == "__main__":
    main()
