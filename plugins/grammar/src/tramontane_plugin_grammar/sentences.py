"""Whether a vocabulary can write a sentence of a grammar, and which character it lacks if not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

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


def check_writable(
    source: str, starts: Sequence[LLMatcher], vocabulary: Vocabulary, limits: LLParserLimits
) -> None:
    """Raises RequestError where the vocabulary can write no sentence of the grammar.

    starts: matchers at the start of it; they are left there. The first has no spaces in front.
    """
    found = [_search(matcher, vocabulary) for matcher in starts]
    if any(one.sentence is not None for one in found):
        return
    if any(one.gave_up for one in found):
        # what all characters can write as easily cannot be written with these
        every = LLMatcher(of_bytes().tokenizer, source, log_level=0, limits=limits)
        plain = _search(every, of_bytes(), set(range(256)) - vocabulary.single)
        text = (plain.sentence or b"").decode(errors="ignore")
        lacking = [char for char in text if not vocabulary.cut(char.encode())]
        if lacking:
            raise _lacks(repr(lacking[0]))
        return
    furthest = max((one.furthest for one in found), key=len)
    spaces = vocabulary.leading if len(starts) > 1 and furthest.startswith(b" ") else 0
    raise cannot_write(source, furthest[spaces:], vocabulary, limits)


@dataclass
class Search:
    """sentence: what was found. furthest: else, where the furthest way ended. gave_up: a limit."""

    sentence: bytes | None = None
    furthest: bytes = b""
    gave_up: bool = False


def _search(
    matcher: LLMatcher, vocabulary: Vocabulary, last: AbstractSet[int] = frozenset()
) -> Search:
    """last: tokens that are tried after the others, but for those that close something."""
    words, ends = vocabulary.words, set(vocabulary.ends)
    result, masks = Search(), 0
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
        if masks > MOST_MASKS:
            result.gave_up = True
            break
        ids = [] if there.is_stopped() else np.flatnonzero(
            mask_of(there.deep_copy(), vocabulary)).tolist()  # fmt: skip
        if there.is_stopped() or not ends.isdisjoint(ids):
            result.sentence = written
            break
        if not ids:
            result.furthest = max(result.furthest, written, key=len)
        ids.sort(
            key=lambda i: (
                words[i][-1:] not in CLOSING or not words[i], i in last, len(words[i])
            )
        )  # fmt: skip
        path.append((there, written, ids[:MOST_TRIED]))
    return result


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
    return _lacks(_asked(source, before, vocabulary, limits), after)


def _lacks(what: str, after: str = "") -> RequestError:
    return RequestError(
        f"this model's vocabulary cannot write {what}, which the grammar asks for{after}; "
        "use another grammar, or another model"
    )


def _asked(source: str, before: bytes, vocabulary: Vocabulary, limits: LLParserLimits) -> str:
    """The characters that the grammar takes next, in words."""
    matcher = LLMatcher(of_bytes().tokenizer, source, log_level=0, limits=limits)
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
