"""Which tokens a grammar allows next."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher

from .trouble import no_panic, stopped
from .vocabulary import Vocabulary

Bools: TypeAlias = npt.NDArray[np.bool_]


def mask_of(matcher: LLMatcher, vocabulary: Vocabulary) -> Bools:
    """(vocabulary,) whether each token may come next; none where the vocabulary lacks a character.

    Raises RequestError where the library cannot go on.
    """
    size = len(vocabulary.words)
    with no_panic("the grammar"):
        if vocabulary.lacks:
            # the library takes it that what must follow can be written, and goes on behind it
            forced = matcher.compute_ff_bytes()
            if forced and not vocabulary.cut(forced):
                ids = vocabulary.towards(forced)
                allowed = np.zeros(size, np.bool_)
                allowed[[token for token in ids if matcher.validate_tokens([token])]] = True
                return allowed
        bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    if matcher.is_error():
        said = matcher.get_error()
        if vocabulary.lacks and "NoExtension" in said:
            return np.zeros(size, np.bool_)
        raise stopped(said)
    return np.unpackbits(bits, count=size, bitorder="little").view(np.bool_)
