"""Tokenizers that take the longest token at each place of a text: RWKV's "World" vocabularies."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders
from tokenizers.models import BPE

from tramontane.errors import CheckpointError

from .byte_alphabet import spell
from .json_file import LARGE, read_text
from .special_tokens import SideFiles
from .tokenizer import Tokenizer


class LongestMatch(Tokenizer):
    """A `Tokenizer` of byte strings: from left to right, each time the longest that the text goes
    on with.

    tokens: their bytes by id. special: texts of control tokens by id, found before all others.
    more: as for `Tokenizer`. Of equal tokens the last is used. Raises CheckpointError unless each
    byte by itself is a token.
    """

    def __init__(
        self, tokens: Mapping[int, bytes], special: Mapping[int, str], **more: Any
    ) -> None:
        self._ids = {data: index for index, data in tokens.items() if data}
        if missing := [byte for byte in range(256) if bytes([byte]) not in self._ids]:
            raise CheckpointError(
                f"the vocabulary has no token for the byte {missing[0]:#04x}, so that not all text "
                "has tokens"
            )
        lengths: dict[bytes, set[int]] = defaultdict(set)
        for data in self._ids:
            lengths[data[:2]].add(len(data))
        self._lengths = {begin: sorted(found, reverse=True) for begin, found in lengths.items()}
        self._special = {text: index for index, text in special.items()}
        self._parts = re.compile("|".join(map(re.escape, self._special)) or r"(?!)")
        vocabulary = {spell(data): index for data, index in self._ids.items()}
        inner = tokenizers.Tokenizer(BPE(vocab={**vocabulary, **self._special}, merges=[]))
        inner.decoder = decoders.ByteLevel()
        inner.add_special_tokens(list(self._special))
        super().__init__(inner, **more)

    @property
    def kind(self) -> str:
        return "longest match"

    def _ids_of(self, text: str, parse_special: bool) -> list[int]:
        if not parse_special:
            return list(self._walk(text.encode()))
        ids: list[int] = []
        place = 0
        for found in self._parts.finditer(text):
            ids += self._walk(text[place : found.start()].encode())
            ids.append(self._special[found[0]])
            place = found.end()
        return [*ids, *self._walk(text[place:].encode())]

    def _walk(self, data: bytes) -> Iterator[int]:
        place = 0
        while place < len(data):
            for length in self._lengths.get(data[place : place + 2], ()):
                if (index := self._ids.get(data[place : place + length])) is not None:
                    break
            else:
                index, length = self._ids[data[place : place + 1]], 1
            yield index
            place += length


END = "<|rwkv_tokenizer_end_of_text|>"
"""What token 0 is called where no file says."""
ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
SIGNS = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}


def unescaped(text: str) -> bytes:
    r"""The bytes of a token that is written as Python writes bytes, "\xe4\n\\" and so on."""
    return ESCAPE.sub(
        lambda found: bytes([int(found[1], 16)]) if found[1] else SIGNS.get(found[2], found[2]),
        text.encode(),
    )


def read_world(path: Path) -> dict[int, bytes]:
    """The tokens of a vocabulary's text file: in each line an id, a string or bytes as Python
    writes them, and the number of bytes. Raises CheckpointError, which names the line."""
    tokens: dict[int, bytes] = {}
    for number, line in enumerate(read_text(path, LARGE).split("\n"), 1):
        if not line.strip():
            continue
        first, _, rest = line.rstrip("\r").partition(" ")
        literal, _, size = rest.rpartition(" ")
        try:
            told = ast.literal_eval(literal)
            data = told.encode() if isinstance(told, str) else told
            if not isinstance(data, bytes) or len(data) != int(size):
                raise ValueError(f"{size} bytes are said")
            tokens[int(first)] = data
        except (ValueError, SyntaxError) as error:
            raise CheckpointError(
                f"{path}: line {number} is not an id, a text and its size: {line!r:.60}"
            ) from error
    return tokens


def from_world(path: Path, side: SideFiles) -> LongestMatch:
    """The tokenizer of a vocabulary's text file, with what the files beside it say. Token 0, which
    the text file lacks, ends a text. Raises CheckpointError if it is damaged."""
    special = {0: END} | {index: token.content for index, token in side.added if token.special}
    tokens = {index: data for index, data in read_world(path).items() if index not in special}
    by_text = {data: index for index, data in tokens.items()}
    by_text |= {text.encode(): index for index, text in special.items()}
    named = {role: text for role, text in side.named.items() if text.encode() in by_text}
    ends = side.eos_ids if "eos_token" in side.silent else ()
    if "eos_token" in named:
        ends = (by_text[named["eos_token"].encode()],)
    begin = by_text[named["bos_token"].encode()] if "bos_token" in named else 0
    try:
        return LongestMatch(
            tokens, special, bos_id=begin, eos_ids={0, *ends}, add_bos=bool(side.add_bos),
            add_eos=bool(side.add_eos), named=named,
        )  # fmt: skip
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
