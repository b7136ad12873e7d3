"""The tokenizer that a GGUF file's metadata describes, below `tokenizer.ggml`.

Source: the GGUF specification for the keys, llama.cpp for what holds where a key is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tramontane.errors import CheckpointError, NoTokenizer
from tramontane.tokenizer.longest_match import LongestMatch, unescaped
from tramontane.tokenizer.spm import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, from_pieces
from tramontane.tokenizer.tokenizer import Tokenizer

from .byte_bpe import byte_bpe
from .endings import find_endings
from .pretokenizers import pre_named
from .values import STRING, Values
from .wordpiece import wordpiece

MODELS = ("gpt2", "gemma4", "llama", "t5", "bert", "rwkv")
NONE = ("none", "no_vocab")
"""What files without a tokenizer say."""


@dataclass(frozen=True)
class Defaults:
    """What holds for a kind of tokenizer when its file does not say."""

    bos: int | None = None
    eos: int | None = None
    unk: int | None = None
    add_bos: bool = False
    add_eos: bool = False


DEFAULTS: dict[str, Defaults] = {
    "gpt2": Defaults(),
    "gemma4": Defaults(),
    "llama": Defaults(bos=1, eos=2, unk=0, add_bos=True),
    "t5": Defaults(eos=1, unk=2, add_eos=True),
    "rwkv": Defaults(),
    "bert": Defaults(bos=101, eos=102, unk=100, add_bos=True, add_eos=True),
}


def read_tokenizer(metadata: Mapping[str, Any], path: Path) -> Tokenizer:
    """Raises NoTokenizer when there is none, CheckpointError for one that is damaged."""
    reader = _Reader(metadata, path)
    model = reader.text("model")
    if model is None:
        raise NoTokenizer(
            f"{path}: it has no tokenizer: tokenizer.ggml.model is missing; "
            "convert the model again, with its tokenizer"
        )
    if model in NONE:
        raise NoTokenizer(f"{path}: it has no tokenizer: tokenizer.ggml.model={model!r} says so")
    if model not in MODELS:
        raise CheckpointError(
            f"{path}: tokenizer.ggml.model={model!r} is not supported ({', '.join(MODELS)} are)"
        )
    tokens = reader.strings("tokens")
    if not tokens:
        raise CheckpointError(f"{path}: tokenizer.ggml.tokens is empty")
    defaults = DEFAULTS[model]
    size = len(tokens)
    bos = reader.id("bos_token_id", size, defaults.bos)
    eos = reader.id("eos_token_id", size, defaults.eos)
    if model == "bert":
        bos, eos = reader.id("cls_token_id", size, bos), reader.id("seperator_token_id", size, eos)
    unk = reader.id("unknown_token_id", size, defaults.unk)
    pad = reader.id("padding_token_id", size, None)
    stops = (eos, reader.id("eot_token_id", size, None), reader.id("eom_token_id", size, None))
    ends, types = find_endings(tokens, reader.types(size), () if model == "bert" else stops)
    add_bos, add_eos = defaults.add_bos, defaults.add_eos
    roles = {"bos_token": bos, "eos_token": eos, "unk_token": unk, "pad_token": pad}
    named = {name: tokens[index] for name, index in roles.items() if index is not None}
    if model == "rwkv":
        return _world(reader, tokens, types, bos_id=bos, eos_ids=ends, named=named)
    if model in ("gpt2", "gemma4"):
        pre = pre_named("gemma4" if model == "gemma4" else reader.text("pre"))
        add_bos = pre.add_bos
        inner = byte_bpe(tokens, types, reader.strings("merges"), pre)
    elif model == "bert":
        if unk is None:
            raise CheckpointError(f"{path}: tokenizer.ggml.unknown_token_id is no token's")
        lowercase = reader.flag("normalizer.lowercase", True)
        inner = wordpiece(
            tokens,
            types,
            unk,
            lowercase=lowercase,
            strip_accents=reader.flag("normalizer.strip_accents", lowercase),
        )
    else:
        inner = _pieces(reader, model, tokens, types, unk or 0)
    return Tokenizer(
        inner,
        bos_id=bos,
        eos_ids=ends,
        add_bos=reader.flag("add_bos_token", add_bos) and bos is not None,
        add_eos=reader.flag("add_eos_token", add_eos) and eos is not None,
        chat_bos=True,
        named=named,
    )


def _world(
    reader: _Reader, tokens: list[str], types: list[int], **roles: Any
) -> Tokenizer:  # fmt: skip
    """RWKV's: bytes as Python writes them. BOS is only said for what asks for one."""
    texts = {index: token for index, token in enumerate(tokens) if types[index] == CONTROL}
    plain = {
        index: unescaped(token) for index, token in enumerate(tokens)
        if types[index] in (NORMAL, USER_DEFINED, BYTE)
    }  # fmt: skip
    add = {f"add_{end}": reader.flag(f"add_{end}_token", False) for end in ("bos", "eos")}
    try:
        return LongestMatch(plain, texts, chat_bos=True, **add, **roles)
    except CheckpointError as error:
        raise CheckpointError(f"{reader.path}: {error}") from error


def _pieces(
    reader: _Reader, model: str, tokens: list[str], types: list[int], unk: int
) -> tokenizers.Tokenizer:
    """SentencePiece's two kinds: joins by score, and unigrams."""
    scores = reader.numbers("scores", len(tokens), 0.0)
    charsmap = reader.raw("precompiled_charsmap")
    try:
        inner = from_pieces(
            list(zip(tokens, scores, types, strict=True)),
            model="bpe" if model == "llama" else "unigram",
            add_prefix=reader.flag("add_space_prefix", True),
            byte_fallback=model == "llama",
            unk_id=unk,
            collapse_spaces=reader.flag("remove_extra_whitespaces", False),
            charsmap=charsmap or b"",
        )
    except (ValueError, CheckpointError) as error:
        raise CheckpointError(f"{reader.path}: the vocabulary is unusable: {error}") from error
    name = str(reader.metadata.get("general.name", "")).lower()
    if "phi-3" in name or "phi3" in name:
        keep = {"<unk>", "<s>", "<|endoftext|>"}
        control = (CONTROL, UNKNOWN, USER_DEFINED)
        eating = {t for t, kind in zip(tokens, types, strict=True) if kind in control} - keep
        inner = _eat_spaces(inner, eating)
    return inner


def _eat_spaces(inner: tokenizers.Tokenizer, eating: set[str]) -> tokenizers.Tokenizer:
    """Phi-3's special tokens take the white space after them; GGUF has no place to say so."""
    description = json.loads(inner.to_str())
    for token in description["added_tokens"]:
        token["rstrip"] = token["content"] in eating
    return tokenizers.Tokenizer.from_str(json.dumps(description))


@dataclass(frozen=True)
class _Reader:
    """Values below `tokenizer.ggml`, each of the kind that it must be."""

    metadata: Mapping[str, Any]
    path: Path

    def _get(self, key: str) -> Any:
        return self.metadata.get(f"tokenizer.ggml.{key}")

    def _refuse(self, key: str, wanted: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: tokenizer.ggml.{key} is missing or not {wanted}")

    def text(self, key: str) -> str | None:
        value = self._get(key)
        if value is not None and not isinstance(value, str):
            raise self._refuse(key, "a string")
        return value or None

    def flag(self, key: str, default: bool) -> bool:
        value = self._get(key)
        return value if isinstance(value, bool) else default

    def id(self, key: str, size: int, default: int | None) -> int | None:
        """A token's number. One beyond the vocabulary, such as 2^32 - 1, means the default."""
        value = self._get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < size:
            return value
        return default if default is not None and default < size else None

    def strings(self, key: str) -> list[str]:
        value = self._get(key)
        if not isinstance(value, Values) or value.kind != STRING:
            raise self._refuse(key, "an array of strings")
        return list(value)

    def numbers(self, key: str, size: int, default: float) -> list[float]:
        value = self._get(key)
        if value is None:
            return [default] * size
        if not isinstance(value, Values) or not value.numeric or len(value) < size:
            raise self._refuse(key, f"an array of {size} numbers")
        found: list[float] = value.numpy()[:size].tolist()
        return found

    def types(self, size: int) -> list[int]:
        return [int(kind) for kind in self.numbers("token_type", size, NORMAL)]

    def raw(self, key: str) -> bytes:
        value = self._get(key)
        if value is None:
            return b""
        if not isinstance(value, Values) or not value.numeric or value.numpy().itemsize != 1:
            raise self._refuse(key, "an array of bytes")
        return value.numpy().tobytes()
