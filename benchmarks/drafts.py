"""What drafts gain and cost: the same requests with and without, in turn, in one process.

    python benchmarks/drafts.py [MODEL] [--draft ngram | --draft MODEL] [--gen 200] [--rounds 9]
                                [--threads 1] [--parallel 1]

Prints a line for each kind of text: the median over the rounds of the ratio of decode times, and of
processor times, and how many of the drafted tokens were accepted. Answers are compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from tramontane import LLM
from tramontane.errors import RequestError
from tramontane.sampling_params import SamplingParams

STORY = (
    "Once upon a time there was a little girl named Lily. She had a red ball and a small dog. One "
    "day the dog took the ball and ran into the garden. Lily ran after him and laughed. Her mother "
    "came out of the house and gave them both some cake. Then the sun went down and they slept.\n"
)
SCHEMA = {
    "type": "array", "minItems": 40, "maxItems": 40,
    "items": {"type": "object", "additionalProperties": False,
              "properties": {"name": {"enum": ["Lily", "Tom", "Anna"]},
                             "animal": {"enum": ["dog", "cat", "bird"]},
                             "years_old": {"type": "integer", "minimum": 1, "maximum": 9}},
              "required": ["name", "animal", "years_old"]},
}  # fmt: skip
WORK: dict[str, tuple[str, dict[str, Any], Any]] = {
    "repetitive: a text again": (STORY * 2 + STORY[:60], {"temperature": 0}, None),
    "repetitive: a loop": ("one two three one two three one two three", {"temperature": 0}, None),
    "repetitive: a schema": ("People and their animals, as JSON:", {"temperature": 0.7}, SCHEMA),
    "undraftable: drawn": ("Once upon a time", {"temperature": 1.2}, None),
    "undraftable: a story": (STORY[:90], {"temperature": 1.0}, None),
}


def ask(llm: LLM, name: str, gen: int, seed: int, parallel: int) -> tuple[float, float, Any]:
    """Seconds, seconds of the processor, and the answers."""
    prompt, asked, schema = WORK[name]
    end = {} if schema is not None else {"ignore_eos": True}
    params = [
        SamplingParams(max_tokens=gen, seed=seed + place, **asked, **end)
        for place in range(parallel)
    ]
    started, processor = time.perf_counter(), time.process_time()
    found = llm.generate([prompt] * parallel, params, schema=schema)
    return time.perf_counter() - started, time.process_time() - processor, found


def writes(llm: LLM, schema: Any) -> bool:
    """Whether a model's tokens can spell what the schema asks for."""
    try:
        llm.generate("x", SamplingParams(max_tokens=1), schema=schema)
    except RequestError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--draft", default="ngram")
    parser.add_argument("--gen", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    options = parser.parse_args()
    settings = {"threads": options.threads}
    with (
        LLM(options.model, **settings) as plain,
        LLM(options.model, draft=options.draft, **settings) as drafting,
    ):
        for name in WORK:
            wall: list[float] = []
            work: list[float] = []
            drafted = accepted = 0
            if WORK[name][2] is not None and not writes(plain, WORK[name][2]):
                print(f"{name}: this model's vocabulary cannot write it")
                continue
            for turn in range(-1, options.rounds):
                seconds = {}
                # the two take turns in going first
                for llm in (plain, drafting) if turn % 2 else (drafting, plain):
                    seconds[llm] = ask(llm, name, options.gen, max(turn, 0), options.parallel)
                pairs = zip(seconds[plain][2], seconds[drafting][2], strict=True)
                assert all(one.token_ids == other.token_ids for one, other in pairs)
                if turn < 0:
                    continue  # all code is cold
                wall.append(seconds[plain][0] / seconds[drafting][0])
                work.append(seconds[plain][1] / seconds[drafting][1])
                drafted += sum(each.usage.drafted_tokens for each in seconds[drafting][2])
                accepted += sum(each.usage.accepted_tokens for each in seconds[drafting][2])
            print(
                f"{name}: {statistics.median(wall):.2f} times as fast "
                f"({statistics.median(work):.2f} of the processor's time), "
                f"{accepted} of {drafted} drafted tokens accepted",
                flush=True,
            )


if __name__ == "__main__":
    main()
