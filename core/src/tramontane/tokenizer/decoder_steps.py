"""The steps of a tokenizer.json's decoder, as functions of a single token's text.

Arguments of a step: the token's text, whether the token is the first one, and whether it is the
last. Bytes that are not valid UTF-8 alone are represented as surrogates ("surrogateescape").
Source: the decoders of the `tokenizers` package, which give the same results.
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
"""A handler of decoding errors: U+FFFD for each byte, as in SentencePiece and ByteFallback."""

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")

_PART = re.compile("[\ud800-\udfff]")

CONTRACTIONS = {
    " .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'", " n't": "n't", " 'm": "'m",
    " do not": " don't", " 's": "'s", " 've": "'ve", " 're": "'re",
}  # fmt: skip
"""The replacements of `cleanup`, in order."""


def form_of(step: dict[str, Any]) -> Form | None:
    """The function of a decoder step; None for one that does not change tokens, such as Fuse."""
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
    """The step applied after the tokens were joined: the text is both the first and last token."""
    return lambda text, first, last: form(text, True, True)


def spaced(text: str, first: bool, last: bool) -> str:
    """The default without a decoder: a space between tokens."""
    return text if first else f" {text}"


def strip(text: str, content: str, start: int, stop: int) -> str:
    """Remove the character `content` up to `start` times at the start and `stop` at the end."""
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
    decoder = decoders.Replace(Regex(pattern["Regex"]), content)
    # the package's own regular expressions, which do not accept invalid UTF-8
    return lambda text, first, last: text if _PART.search(text) else str(decoder.decode([text]))


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
