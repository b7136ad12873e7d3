"""How a request's tokens become its text."""

from __future__ import annotations

from tramontane.tokenizer.detokenize import Detokenizer
from tramontane.tokenizer.tokenizer import Tokenizer

from .request import Request


def detokenizer_for(request: Request, tokenizer: Tokenizer) -> Detokenizer:
    """Decodes a request's output, which may continue the prompt's text. What a grammar describes is
    a text of its own: the vocabulary's spaces in front of it are not part of it."""
    skip, grammar = request.params.skip_special_tokens, request.params.grammar
    if grammar is not None and not grammar.after:
        return Detokenizer(tokenizer, skip, within=True, dropped=tokenizer.spelling.leading)
    within = request.continues and not tokenizer.special_ids.issuperset(request.prompt)
    return Detokenizer(tokenizer, skip, within=within)
