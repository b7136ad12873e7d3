"""Which requests can never run."""

from __future__ import annotations

from tramontane.errors import RequestError
from tramontane.tokenizer.tokenizer import Tokenizer

from .request import Request


def refuse_impossible(
    request: Request,
    tokenizer: Tokenizer,
    vocabulary: int,
    context_length: int,
    *,
    sees: bool,
) -> None:
    """Raises RequestError. vocabulary: number of tokens. context_length: in tokens. sees: whether
    the model takes images, sounds or videos."""
    count = len(request.prompt)
    if count == 0:
        raise RequestError("the prompt is empty: there is nothing to continue")
    if count >= context_length and not (request.params.max_tokens == 0 and count == context_length):
        raise RequestError(
            f"the prompt has {count} tokens and the context {context_length}: shorten it",
            hint="or raise --num-ctx (num_ctx in Python)",
        )
    if tokenizer.missing and (request.params.stop or request.params.grammar):
        raise RequestError(tokenizer.missing)
    if request.media is not None and not sees:
        raise RequestError("the prompt has images or other media, and the model takes text only")
    for token in request.prompt:
        if not 0 <= token < vocabulary:
            raise RequestError(f"token {token} is outside the vocabulary of {vocabulary}")
