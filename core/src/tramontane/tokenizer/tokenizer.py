"""A tokenizer as the engine uses it, around Hugging Face's `tokenizers`."""

from __future__ import annotations

from collections.abc import Sequence

import tokenizers


class Tokenizer:
    """Text to token ids and back.

    eos_ids: tokens that end an answer. special_ids: tokens that are control, never text.
    named: the texts of bos_token, eos_token, unk_token, pad_token, for chat templates.
    """

    def __init__(
        self,
        inner: tokenizers.Tokenizer,
        *,
        bos_id: int | None = None,
        eos_ids: Sequence[int] = (),
        add_bos: bool = False,
        add_eos: bool = False,
        named: dict[str, str] | None = None,
    ) -> None:
        self.inner = inner
        self.bos_id = bos_id
        self.eos_ids = frozenset(eos_ids)
        self.add_bos = add_bos
        self.add_eos = add_eos
        self.named = dict(named or {})
        added = inner.get_added_tokens_decoder()
        self.special_ids = frozenset(index for index, token in added.items() if token.special)

    @property
    def vocab_size(self) -> int:
        return self.inner.get_vocab_size(with_added_tokens=True)
