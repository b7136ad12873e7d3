"""A tokenizer as the engine uses it, around Hugging Face's `tokenizers`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import groupby

import tokenizers

from tramontane.errors import RequestError

from .spelling import spelling_of


class Tokenizer:
    """Text to token ids and back.

    bos_id: the token that begins a text, if there is one. eos_ids: tokens that end an answer.
    special_ids: tokens that are control, never text.
    named: the texts of bos_token, eos_token, unk_token, pad_token, for chat templates.
    add_bos, add_eos: what `encode` puts around a text beyond what inner's post-processor does; the
    two are one where they say the same. chat_bos: whether add_bos is also for what chat templates
    write. Safe to share between threads.
    """

    missing: str | None = None
    """Why texts are refused, where the model has no tokenizer."""

    def __init__(
        self,
        inner: tokenizers.Tokenizer,
        *,
        bos_id: int | None = None,
        eos_ids: Sequence[int] = (),
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
        # a tokenizer.json may carry its trainer's limits; cutting a prompt is never ours to do
        inner.no_truncation()
        inner.no_padding()
        self._before, self._after = around(inner)
        if add_bos and bos_id is not None and bos_id not in self._before:
            self._before = [bos_id, *self._before]
        eos_id = self._eos_to_add(eos_ids)
        if add_eos and eos_id is not None and eos_id not in self._after:
            self._after = [*self._after, eos_id]

    @property
    def vocab_size(self) -> int:
        """How many tokens there are; a model's embedding may have more rows."""
        return self.inner.get_vocab_size(with_added_tokens=True)

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]:
        """Token ids of a text.

        add_special: put BOS and EOS around it as the tokenizer says, save where the text spells
          them already, as a rendered chat template does.
        parse_special: False makes spellings of special tokens plain text. Tokens that were added
          but are not special are found in either case.
        Raises RequestError where a text is not Unicode: it has half of a surrogate pair.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RequestError(
                f"character {error.start} of the text, {text[error.start]!r}, is half of a"
                " surrogate pair, which no tokenizer can encode; send valid Unicode"
            ) from error
        inner = self.inner if parse_special else self._without_special()
        ids: list[int] = inner.encode(text, add_special_tokens=False).ids
        if not add_special:
            return ids
        if ids[: len(self._before)] != self._before:
            ids = [*self._before, *ids]
        if self._after and ids[-len(self._after) :] != self._after:
            ids = [*ids, *self._after]
        return ids

    def encode_chat(self, text: str) -> list[int]:
        """Token ids of what a chat template wrote, which has BOS where the model wants one.

        With chat_bos it is put in front where the template did not write it, as llama.cpp does.
        Raises RequestError as `encode` does.
        """
        ids = self.encode(text, add_special=False)
        if self.chat_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            return [self.bos_id, *ids]
        return ids

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """The text of token ids, as the `tokenizers` package's decoder makes it.

        It is their bytes, joined, as UTF-8; what is no UTF-8 becomes U+FFFD. The space that a
        SentencePiece vocabulary puts in front of a text goes away again; nothing is cleaned up but
        what the decoder itself says. Ids beyond the vocabulary are nothing.
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
        """A token as the vocabulary spells it. Raises RequestError for an id that it has not."""
        piece = self.inner.id_to_token(index) if 0 <= index < 1 << 32 else None
        if piece is None:
            raise RequestError(f"token id {index} is not in the vocabulary of {self.vocab_size}")
        return piece

    def has(self, index: int) -> bool:
        """Whether the vocabulary has such a token."""
        return self._read(index) is not None

    def token_bytes(self, index: int, *, first: bool = False, last: bool = False) -> bytes:
        """The bytes that a token stands for within a text, perhaps a part of a character.

        first, last: what it stands for at that end of a text, before `decode` trims it there.
        Empty for an id that the vocabulary does not have.
        """
        if not first and not last:
            return self._read(index) or b""
        piece = self._piece(index)
        return b"" if piece is None else self._spelled(index, piece, first, last)

    def _read(self, index: int) -> bytes | None:
        found = self._bytes.get(index)
        if found is None and (piece := self._piece(index)) is not None:
            found = self._bytes[index] = self._spelled(index, piece, False, False)
        return found

    def _piece(self, index: int) -> str | None:
        # of an added token that is looked for in normalized text, its normalized spelling
        found = self.inner.id_to_token(index) if 0 <= index < 1 << 32 else None
        return None if found is None else str(found)

    def _spelled(self, index: int, piece: str, first: bool, last: bool) -> bytes:
        data = self.spelling.bytes_of(piece, first, last)
        if index in self._added and not piece.isascii() and not _is_text(data):
            # text that a byte-level decoder takes for bytes: the package prints U+FFFD
            return piece.encode()
        return data

    def _eos_to_add(self, eos_ids: Sequence[int]) -> int | None:
        named = self.named.get("eos_token")
        found = None if named is None else self.inner.token_to_id(named)
        return found if found is not None else next(iter(eos_ids), None)

    def _without_special(self) -> tokenizers.Tokenizer:
        # a twin, as the switch is state of the tokenizer, which other threads are using
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
    """What the post-processor puts before and after a text."""
    probe = inner.encode("a", add_special_tokens=True)
    mask = list(probe.special_tokens_mask)
    if 0 not in mask:
        return list(probe.ids), []
    first = mask.index(0)
    last = len(mask) - mask[::-1].index(0)
    return list(probe.ids[:first]), list(probe.ids[last:])
