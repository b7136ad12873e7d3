"""One model by several processes of one thread each, against one process of as many threads.

    python benchmarks/ranks.py MODEL [--ranks 2] [--prompt 256] [--tokens 32] [--rounds 8]

Both are loaded in one run and measured in turns, so that whatever else the machine does meets both.
Prints tokens a second of prompts and answers, the best and the median, and the ratio of ranks to
threads.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence

from tramontane import LLM
from tramontane.sampling_params import SamplingParams


def turn(llm: LLM, prompt: Sequence[int], tokens: int) -> tuple[float, float]:
    """Tokens a second: of the prompt, and of the answer."""
    params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
    began = first = time.perf_counter()
    count = 0
    for chunk in llm.generate(prompt, params, stream=True):
        if chunk.token is not None:
            count += 1
            if count == 1:
                first = time.perf_counter()
    end = time.perf_counter()
    return len(prompt) / (first - began), (count - 1) / (end - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    both = {
        f"1 process of {options.ranks} threads": LLM(options.model, threads=options.ranks),
        f"{options.ranks} processes of 1": LLM(options.model, threads=1, tp=options.ranks),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
    draw = random.Random(1)
    for _ in range(options.rounds + 1):
        for name, llm in both.items():
            prompt = [draw.randrange(10, 1000) for _ in range(options.prompt)]
            found[name].append(turn(llm, prompt, options.tokens))
    for index, what in enumerate(("prompt", "answer")):
        best, median = [], []
        for name, pairs in found.items():
            speeds = [pair[index] for pair in pairs[1:]]
            best.append(max(speeds))
            median.append(statistics.median(speeds))
            print(f"{what}, {name}: best {best[-1]:.1f} tokens/s, median {median[-1]:.1f}")
        print(
            f"{what}: ratio of the best {best[1] / best[0]:.2f}, median {median[1] / median[0]:.2f}"
        )
    for llm in both.values():
        llm.close()


if __name__ == "__main__":
    main()
