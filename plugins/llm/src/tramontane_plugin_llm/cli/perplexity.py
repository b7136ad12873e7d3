"""`llm-rs perplexity`: how well a model predicts a text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tramontane.errors import RequestError

from tramontane_plugin_llm.opening import loaded

from .infer import chosen
from .options import add_generation, add_model, add_prompt, parser_of, prompt_of, sampling

if TYPE_CHECKING:
    from tramontane import LLM

BEGINS = {"bloom": "<s>", "mpt": "<|padding|>"}
"""Families whose texts begin with a token of this name; of others it is the token 1."""
UNSCORED = 512
"""Tokens of a chunk, but at most half of it, that are only there for others to be predicted."""


def run(argv: list[str], program: str) -> int:
    """Print the perplexity after each chunk, of all so far."""
    parser = parser_of(
        program,
        "Measure how well a model predicts a text, in chunks as long as the context; what is left "
        "behind the last whole one does not count.",
    )
    add_model(parser)
    add_prompt(parser)
    add_generation(parser)
    options = parser.parse_args(argv)
    prompt = prompt_of(options)
    sampling(options, frozenset())
    with loaded(options) as llm:
        for chunk, value in enumerate(perplexities(llm, prompt, chosen(options))):
            print(f"Perplexity[{chunk}]: {as_rust(value)}", flush=True)
    return 0


def perplexities(llm: LLM, text: str, adapter: str | None = None) -> Iterator[float]:
    """After each chunk, of all so far. Raises RequestError for a text that is too short."""
    tokens, size = llm.tokenize(text), llm.context_length
    if len(tokens) < size:
        raise RequestError(
            f"the text has {len(tokens)} tokens, and a chunk {size}: give a longer one, or "
            f"--num-ctx-tokens {max(2, len(tokens))}"
        )
    begins, total, count = _begins(llm), 0.0, 0
    for start in range(0, len(tokens) - size + 1, size):
        scores = _scores(llm, (begins, *tokens[start + 1 : start + size]), adapter)
        counted = scores[min(UNSCORED, size // 2) :]
        total, count = total - sum(counted), count + len(counted)
        yield math.exp(total / max(count, 1))


def _scores(llm: LLM, tokens: tuple[int, ...], adapter: str | None) -> list[float]:
    """Log-probabilities of the second token and all later ones."""
    from tramontane.engine.request import Finished, Request
    from tramontane.sampling_params import SamplingParams

    params = SamplingParams(max_tokens=0, adapter=adapter)
    applied = llm.inner.applied(params.adapter, None)
    request = Request(prompt=tokens, params=params, score_prompt=True, adapters=applied)
    *_, last = llm.stream(request)
    assert isinstance(last, Finished)
    if last.result.error is not None:
        raise RequestError(last.result.error)
    return [entry.logprob for entry in last.result.prompt_logprobs or ()]


def _begins(llm: LLM) -> int:
    """The token that each chunk begins with."""
    name = BEGINS.get(str(llm.inner.header.metadata.get("family", llm.inner.header.architecture)))
    found = None if name is None else llm.inner.tokenizer.inner.token_to_id(name)
    return 1 if found is None else found


def as_rust(value: float) -> str:
    """A number as Rust prints an f32: the fewest digits that are this float32's."""
    import numpy as np

    single = np.float32(value)
    if not np.isfinite(single):
        return {"nan": "NaN"}.get(str(single), str(single))
    return np.format_float_positional(single, unique=True, trim="-")
