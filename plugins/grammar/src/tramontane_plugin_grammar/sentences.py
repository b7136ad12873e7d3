"""Whether a vocabulary can write a sentence of a grammar, and which character it lacks if not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher, LLParserLimits
from tramontane.errors import RequestError

from .masks import mask_of
from .trouble import first_line
from .vocabulary import Vocabulary, of_bytes

MOST_MASKS = 600
"""Masks that a search may look at; where they do not suffice it is left to the answer."""
MOST_TRIED = 6
"""Tokens that are tried at each place: those that close something, then the shortest."""
CLOSING = b'"}])>'
STEPS = 24
"""Tokens of a text that is followed to see whether it can be."""
NAMED = 4


def unwritable(matcher: LLMatcher, vocabulary: Vocabulary) -> bytes | None:
    """What was written where the furthest way ended, if no sentence was found and all ways ended.

    matcher: at the start of its grammar, and left there.
    """
    words, ends = vocabulary.words, set(vocabulary.ends)
    furthest, masks = b"", 0
    path = [(matcher, b"", [-1])]
    """Places on the way to a sentence, what was written, and the tokens left to be tried there."""
    while path:
        here, written, tokens = path[-1]
        if not tokens:
            path.pop()
            continue
        token = tokens.pop(0)
        there = here.deep_copy()
        if token >= 0:
            if not there.consume_token(token):
                continue
            written += words[token]
        masks += 1
        if there.is_stopped() or masks > MOST_MASKS:
            return None
        ids = np.flatnonzero(mask_of(there.deep_copy(), vocabulary)).tolist()
        if not ends.isdisjoint(ids):
            return None
        if not ids:
            furthest = max(furthest, written, key=len)
        ids.sort(key=lambda i: (words[i][-1:] not in CLOSING or not words[i], len(words[i])))
        path.append((there, written, ids[:MOST_TRIED]))
    return furthest


def walk(matcher: LLMatcher, vocabulary: Vocabulary) -> str:
    """Follow a text for a while without ending it: what the library says where that fails."""
    rng = random.Random(1)
    for _ in range(STEPS):
        bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
        if matcher.is_error() or matcher.is_stopped():
            break
        ids = np.flatnonzero(np.unpackbits(bits, bitorder="little")).tolist()
        some = rng.sample(ids, min(len(ids), 64))
        going = [token for token in some if b'"' not in vocabulary.words[token]] or ids
        if not going or not matcher.consume_token(rng.choice(going)):
            break
    return first_line(matcher.get_error()) if matcher.is_error() else ""


def cannot_write(
    source: str, before: bytes, vocabulary: Vocabulary, limits: LLParserLimits
) -> RequestError:
    """The error for a grammar that asks, after this text, for what the vocabulary does not have."""
    after = f" after {before[-20:].decode(errors='replace')!r}" if before else ""
    return RequestError(
        f"this model's vocabulary cannot write {_asked(source, before, vocabulary, limits)}, "
        f"which the grammar asks for{after}; use another grammar, or another model"
    )


def _asked(source: str, before: bytes, vocabulary: Vocabulary, limits: LLParserLimits) -> str:
    """The characters that the grammar takes next, in words."""
    matcher = LLMatcher(of_bytes(), source, log_level=0, limits=limits)
    if matcher.is_error() or (before and not matcher.consume_tokens(list(before))):
        return "the next character"
    forced = matcher.compute_ff_bytes().decode(errors="ignore")
    if forced:
        return repr(next((char for char in forced if not vocabulary.cut(char.encode())), forced[0]))
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    ids = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
    return _listed([chr(byte) for byte in ids.tolist() if byte < 0x80], bool((ids >= 0x80).any()))


def _listed(plain: Sequence[str], more: bool) -> str:
    found = [repr(char) for char in plain[:NAMED]]
    found += ["others"] if len(plain) > NAMED else []
    found += ["characters beyond ASCII"] if more else []
    return " or ".join(found) or "the next character"
