"""The steps of a tokenizer.json's decoder, each as what it does to one token's text.

A step sees the token's text, whether the token is the first of all, and whether it is the last.
Bytes that are no UTF-8 by themselves are carried in the text as surrogates ("surrogateescape").
Source: the decoders of the `tokenizers` package, which these equal.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from tokenizers import Regex, decoders

from .alphabet import byte_level

Form: TypeAlias = Callable[[str, bool, bool], str]

EACH_BYTE = "tramontane-each-byte"
"""A handler of decoding errors: U+FFFD for each byte, as SentencePiece and ByteFallback have it."""

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")

_PART = re.compile("[\ud800-\udfff]")

CONTRACTIONS = {
    " .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'", " n't": "n't", " 'm": "'m",
    " do not": " don't", " 's": "'s", " 've": "'ve", " 're": "'re",
}  # fmt: skip
"""What `cleanup` replaces, in this order."""


def form_of(step: dict[str, Any]) -> Form | None:
    """What a step does to a token; None for one that does nothing to it, such as Fuse."""
    match step["type"]:
        case "ByteLevel":
            return _byte_level
        case "ByteFallback":
            return _byte
        case "Replace":
            return _replace(step["pattern"], step["content"])
        case "Metaspace":
            return partial(
                _metaspace, step["replacement"], step.get("prepend_scheme", "always") != "never"
            )
        case "Strip":
            return partial(_strip, step["content"], step["start"], step["stop"])
        case "WordPiece":
            return partial(_word, step["prefix"], step["cleanup"])
        case "BPEDecoder":
            return partial(_suffix, step["suffix"])
        case "CTC":
            delimiter = step["word_delimiter_token"] if step["cleanup"] else None
            return partial(_ctc, step["pad_token"], delimiter)
    return None


def fused(form: Form) -> Form:
    """The same on a text whose tokens were joined before: it is one token, the first and last."""
    return lambda text, first, last: form(text, True, True)


def spaced(text: str, first: bool, last: bool) -> str:
    """What is done where there is no decoder: a space between tokens."""
    return text if first else f" {text}"


def strip(text: str, content: str, start: int, stop: int) -> str:
    """Without up to `start` and `stop` times `content`, one character, at its ends."""
    while start and text.startswith(content):
        text, start = text[1:], start - 1
    while stop and text.endswith(content):
        text, stop = text[:-1], stop - 1
    return text


def _byte_level(text: str, first: bool, last: bool) -> str:
    return byte_level(text).decode("utf-8", "surrogateescape")


def _byte(text: str, first: bool, last: bool) -> str:
    if match := _BYTE.fullmatch(text):
        return bytes([int(match[1], 16)]).decode("utf-8", "surrogateescape")
    return text


def _replace(pattern: dict[str, str], content: str) -> Form:
    if "String" in pattern:
        old = pattern["String"]
        return lambda text, first, last: text.replace(old, content)
    theirs = decoders.Replace(Regex(pattern["Regex"]), content)
    # the package's own expressions, which cannot be given bytes that are no text
    return lambda text, first, last: text if _PART.search(text) else str(theirs.decode([text]))


def _metaspace(sign: str, drops_first: bool, text: str, first: bool, last: bool) -> str:
    return text.replace(sign, "" if first and drops_first else " ")


def _strip(content: str, start: int, stop: int, text: str, first: bool, last: bool) -> str:
    return strip(text, content, start, stop)


def _word(prefix: str, cleanup: bool, text: str, first: bool, last: bool) -> str:
    if not first:
        text = text.removeprefix(prefix) if text.startswith(prefix) else f" {text}"
    return _clean(text) if cleanup else text


def _suffix(suffix: str, text: str, first: bool, last: bool) -> str:
    return text.replace(suffix, "" if last else " ")


def _ctc(pad: str, delimiter: str | None, text: str, first: bool, last: bool) -> str:
    text = text.replace(pad, "")
    return text if delimiter is None else _clean(text).replace(delimiter, " ")


def _clean(text: str) -> str:
    for old, new in CONTRACTIONS.items():
        text = text.replace(old, new)
    return text


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(EACH_BYTE, _each_byte)
