"""What a grammar costs a token: its mask, the step of the sampler chain, forced tokens; and what
the first request with one waits for.

    python benchmarks/masks.py TOKENIZER.JSON [--rounds 5] [--sequences 16]

An object of 40 properties is written, token by token. Times in microseconds: median and 99th
percentile, per token of all rounds; then per step of several sequences, each at another place of
the text: in the thread's processor time, masks one after the other, as the engine has them made;
and by llguidance's own threads, in the time that passes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from llguidance import LLExecutor
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par
from tramontane.grammar import Grammar
from tramontane.sampling import Candidates, History, SamplerContext
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_plugin_grammar.grammar_cache import Compiled
from tramontane_plugin_grammar.step import Constrained

KINDS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string", "minLength": 3, "maxLength": 40}, "a sentence, of some words"),
    ({"type": "integer", "minimum": 0, "maximum": 100000}, 4711),
    ({"enum": ["never", "sometimes", "always"]}, "sometimes"),
    ({"type": "array", "items": {"type": "number"}, "maxItems": 6}, [1.5, 2.25, -3]),
    ({"type": "string", "format": "date-time"}, "2026-11-21T10:30:00Z"),
]


def example() -> tuple[dict[str, Any], str]:
    """A schema, and a text under it."""
    kinds = {f"property_number_{i}_of_many": KINDS[i % len(KINDS)] for i in range(40)}
    schema = {
        "type": "object",
        "properties": {name: kind for name, (kind, _) in kinds.items()},
        "required": list(kinds),
        "additionalProperties": False,
    }
    return schema, json.dumps({name: value for name, (_, value) in kinds.items()})


def said(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(f"{name:44} {statistics.median(ordered) * 1e6:8.1f} {p99 * 1e6:8.1f}", flush=True)


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    found = call(*arguments)
    return time.perf_counter() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=16)
    options = parser.parse_args()
    tokenizer = Tokenizer(tokenizers.Tokenizer.from_file(str(options.tokenizer)))
    context = SamplerContext(
        vocab_size=tokenizer.vocab_size, seed=1, context_length=4096, eos_ids=frozenset({1}),
        encode=lambda text: tokenizer.encode(text, add_special=False), decode=tokenizer.decode,
        token_bytes=tokenizer.token_bytes, special_ids=tokenizer.special_ids,
    )  # fmt: skip
    gc.disable()
    words, _ = timed(lambda: [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)])
    whole, compiled = timed(Compiled, context)
    print(f"vocabulary of {tokenizer.vocab_size}: words {words:.3f} s, then {whole:.3f} s")
    schema, text = example()
    grammar = Grammar(type="json_schema", value=schema)
    first, _ = timed(compiled.matcher, grammar)
    again, _ = timed(compiled.matcher, grammar)
    tokens = tokenizer.encode(text, add_special=False)
    print(f"compiling {first * 1e3:.2f} ms, from the cache {again * 1e3:.3f} ms")
    print(f"{len(json.dumps(schema, indent=1).splitlines())} lines of schema, {len(tokens)} tokens")

    logits = np.random.default_rng(1).standard_normal(tokenizer.vocab_size).astype(np.float32)
    forced: list[float] = []
    masks: list[float] = []
    rests: list[float] = []
    count = 0
    for _ in range(options.rounds):
        step = Constrained(compiled.entry(grammar), compiled)
        history = History([], [])
        for token in tokens:
            seconds, found = timed(step.forced, history)
            forced.append(seconds)
            count += bool(found)
            masks.append(timed(step.prepare, history)[0])
            rests.append(timed(step, Candidates.of(logits), history)[0])
            history.output.append(token)
    print(f"{'':44} {'median':>8} {'99 %':>8}")
    said("asking for forced tokens", forced)
    said("mask and its ids, made ahead", masks)
    said("picking candidates out, when logits are there", rests)
    said("both, on one thread", [one + other for one, other in zip(masks, rests, strict=True)])
    steps(compiled, grammar, tokens, options.sequences)


def steps(compiled: Compiled, grammar: Grammar, tokens: list[int], count: int) -> None:
    """Masks of steps in which `count` sequences are at as many places of the text."""
    own, passed, beside = [], [], []
    shape = allocate_token_bitmask(count, compiled.tokenizer.vocab_size)
    executor = LLExecutor(os.cpu_count())
    apart = len(tokens) // count
    made = [Constrained(compiled.entry(grammar), compiled) for _ in range(count)]
    plain = [(compiled.entry(grammar).matcher, index) for index in range(count)]
    histories = [History([], tokens[: apart * index]) for index in range(count)]
    for (matcher, _), history in zip(plain, histories, strict=True):
        matcher.consume_tokens(history.output)
    for place in range(apart):
        before, started = time.thread_time(), time.perf_counter()
        for step, history in zip(made, histories, strict=True):
            step.prepare(history)
        own.append(time.thread_time() - before)
        passed.append(time.perf_counter() - started)
        beside.append(timed(fill_next_token_bitmask_par, executor, plain, shape)[0])
        for index, history in enumerate(histories):
            token = tokens[apart * index + place]
            history.output.append(token)
            plain[index][0].consume_token(token)
    said(f"masks of {count} sequences, processor time", own)
    said(f"masks of {count} sequences, one thread", passed)
    said(f"bits alone, {os.cpu_count()} threads of llguidance", beside)


if __name__ == "__main__":
    main()
