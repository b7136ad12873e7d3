"""A model's vocabulary made of bytes and a few longer tokens, for grammars alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from tramontane.grammar import Grammar
from tramontane.sampling import Candidates, History, SamplerContext
from tramontane.sampling.step import Step
from tramontane_plugin_grammar.step import build

END = 256
WORDS = [*(bytes([value]) for value in range(256)), b"<end>", b'": ', b'{"', b"</think>", b"", b""]


def encode(text: str) -> list[int]:
    return list(text.encode())


def context() -> SamplerContext:
    """A request of a model of these tokens; the last two ids have no text, as in padded models."""
    return SamplerContext(
        vocab_size=len(WORDS),
        seed=1,
        context_length=4096,
        eos_ids=frozenset({END}),
        encode=encode,
        decode=lambda ids: b"".join(WORDS[i] for i in ids).decode(errors="replace"),
        token_bytes=lambda index: WORDS[index],
        special_ids=frozenset({END}),
    )


def step_of(of: SamplerContext | None = None, **grammar: Any) -> Step:
    step = build({"grammar": Grammar(**grammar)}, of or context())
    assert step is not None
    return step


def allowed(step: Step, output: Iterable[int] = ()) -> set[int]:
    """Which tokens may follow an output."""
    logits = np.zeros(len(WORDS), np.float32)
    return set(step(Candidates.of(logits), History([], list(output))).ids.tolist())


def accepts(step: Step, text: str) -> bool:
    """Whether a text is a sentence: each byte allowed after those before it, and then the end."""
    ids = encode(text)
    for place, token in enumerate(ids):
        if token not in allowed(step, ids[:place]):
            return False
    return END in allowed(step, ids)
