"""The engine's tokenizer, a wrapper of Hugging Face's `tokenizers`."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from itertools import groupby

import tokenizers

from tramontane.errors import RequestError

from .byte_alphabet import spelling_of


class Tokenizer:
    """Text to token ids and back.

    bos_id: the token that begins a text, or None. eos_ids: tokens that end an answer.
    special_ids: control tokens, which are never text.
    named: the texts of bos_token, eos_token, unk_token, pad_token, for chat templates.
    add_bos, add_eos: tokens that `encode` adds around a text, unless inner's post-processor already
    adds them. chat_bos: whether add_bos also applies to rendered chat templates. Thread-safe.
    """

    missing: str | None = None
    """Why texts are refused, where the model has no tokenizer."""

    def __init__(
        self,
        inner: tokenizers.Tokenizer,
        *,
        bos_id: int | None = None,
        eos_ids: Collection[int] = (),
        add_bos: bool = False,
        add_eos: bool = False,
        chat_bos: bool = False,
        named: dict[str, str] | None = None,
    ) -> None:
        self.inner = inner
        self.bos_id = bos_id
        self.eos_ids = frozenset(eos_ids)
        self.add_bos = add_bos
        self.add_eos = add_eos
        self.chat_bos = chat_bos and add_bos
        self.named = dict(named or {})
        self._added = inner.get_added_tokens_decoder()
        self.special_ids = frozenset(index for index, token in self._added.items() if token.special)
        self.spelling = spelling_of(inner)
        self._bytes: dict[int, bytes] = {}
        self._plain: tokenizers.Tokenizer | None = None
        self._lock = threading.Lock()
        # a tokenizer.json may contain limits of its training; prompts must never be truncated
        inner.no_truncation()
        inner.no_padding()
        self._before, self._after = around(inner)
        if add_bos and bos_id is not None and bos_id not in self._before:
            self._before = [bos_id, *self._before]
        eos_id = self._eos_to_add(eos_ids)
        if add_eos and eos_id is not None and eos_id not in self._after:
            self._after = [*self._after, eos_id]

    @property
    def around(self) -> tuple[list[int], list[int]]:
        """The ids that `encode` puts before and behind a text."""
        return list(self._before), list(self._after)

    @property
    def kind(self) -> str:
        """How texts are cut, such as "BPE"."""
        return type(self.inner.model).__name__

    @property
    def vocab_size(self) -> int:
        """Number of tokens; a model's embedding may have more rows."""
        return self.inner.get_vocab_size(with_added_tokens=True)

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]:
        """Token ids of a text.

        add_special: add the tokenizer's BOS and EOS, unless the text already contains them, as a
          rendered chat template does.
        parse_special: with False the texts of special tokens are plain text. Added tokens that are
          not special are recognized in either case.
        Raises RequestError if the text is not valid Unicode: it has an unpaired surrogate.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RequestError(
                f"character {error.start} of the text, {text[error.start]!r}, is half of a"
                " surrogate pair, which no tokenizer can encode; send valid Unicode"
            ) from error
        ids = self._ids_of(text, parse_special)
        if not add_special:
            return ids
        if ids[: len(self._before)] != self._before:
            ids = [*self._before, *ids]
        if self._after and ids[-len(self._after) :] != self._after:
            ids = [*ids, *self._after]
        return ids

    def _ids_of(self, text: str, parse_special: bool) -> list[int]:
        inner = self.inner if parse_special else self._without_special()
        ids: list[int] = inner.encode(text, add_special_tokens=False).ids
        return ids

    def encode_chat(self, text: str) -> list[int]:
        """Token ids of a rendered chat template, which contains BOS if the model needs one.

        With chat_bos it is prepended if the template did not write it, as in llama.cpp.
        Raises RequestError as `encode` does.
        """
        ids = self.encode(text, add_special=False)
        if self.chat_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            return [self.bos_id, *ids]
        return ids

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """The text of token ids, the same as by the `tokenizers` package's decoder.

        The tokens' bytes are joined and decoded as UTF-8; invalid bytes become U+FFFD. The space
        that a SentencePiece vocabulary prepends to a text is removed; there is no cleanup except
        the decoder's own. Ids outside the vocabulary are ignored.
        """
        hidden = self.special_ids if skip_special else frozenset()
        known = [index for index in ids if index not in hidden and self.has(index)]
        if not self.spelling.repeats:
            known = [index for index, _ in groupby(known)]
        if not known:
            return ""
        parts = [self.token_bytes(index) for index in known]
        parts[0] = self.token_bytes(known[0], first=True, last=len(known) == 1)
        if len(known) > 1:
            parts[-1] = self.token_bytes(known[-1], last=True)
        return self.spelling.trim(b"".join(parts).decode("utf-8", self.spelling.errors))

    def piece(self, index: int) -> str:
        """The vocabulary's piece of a token. Raises RequestError for an id outside of it."""
        piece = self.inner.id_to_token(index) if 0 <= index < 1 << 32 else None
        if piece is None:
            raise RequestError(f"token id {index} is not in the vocabulary of {self.vocab_size}")
        return piece

    def has(self, index: int) -> bool:
        """Whether the vocabulary has a token with this id."""
        return self._read(index) is not None

    def token_bytes(self, index: int, *, first: bool = False, last: bool = False) -> bytes:
        """The bytes of a token within a text, perhaps a part of a character.

        first, last: as the first or last token of a text, before `decode` trims it.
        Empty for an id outside the vocabulary.
        """
        if not first and not last:
            return self._read(index) or b""
        piece = self._piece(index)
        return b"" if piece is None else self._spelled(index, piece, first, last)

    def _read(self, index: int) -> bytes | None:
        data = self._bytes.get(index)
        if data is None and (piece := self._piece(index)) is not None:
            data = self._bytes[index] = self._spelled(index, piece, False, False)
        return data

    def _piece(self, index: int) -> str | None:
        # for an added token that is matched in normalized text, this is its normalized text
        piece = self.inner.id_to_token(index) if 0 <= index < 1 << 32 else None
        return None if piece is None else str(piece)

    def _spelled(self, index: int, piece: str, first: bool, last: bool) -> bytes:
        data = self.spelling.bytes_of(piece, first, last)
        if index in self._added and not piece.isascii() and not _is_text(data):
            # a byte-level decoder would interpret this text as bytes: the package prints U+FFFD
            return piece.encode()
        return data

    def _eos_to_add(self, eos_ids: Collection[int]) -> int | None:
        named = self.named.get("eos_token")
        eos_id = None if named is None else self.inner.token_to_id(named)
        return eos_id if eos_id is not None else next(iter(eos_ids), None)

    def _without_special(self) -> tokenizers.Tokenizer:
        # a copy, because the setting is state of the tokenizer, which other threads use
        with self._lock:
            if self._plain is None:
                self._plain = tokenizers.Tokenizer.from_str(self.inner.to_str())
                self._plain.encode_special_tokens = True
            return self._plain


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def around(inner: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """The token ids that the post-processor adds before and after a text."""
    probe = inner.encode("a", add_special_tokens=True)
    mask = list(probe.special_tokens_mask)
    if 0 not in mask:
        return list(probe.ids), []
    first = mask.index(0)
    last = len(mask) - mask[::-1].index(0)
    return list(probe.ids[:first]), list(probe.ids[last:])
