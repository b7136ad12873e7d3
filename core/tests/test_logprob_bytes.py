"""What a token stands for at its place: its bytes, also those of a part of a character."""

import numpy as np
import pytest
from tramontane.engine.logprobs import token_logprob
from tramontane.tokenizer import Detokenizer

from .test_detokenize import TOKENIZERS


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", ["🚀 日 the", " a", "  a", "é"])
def test_bytes_joined_are_the_text(name: str, text: str) -> None:
    ours = TOKENIZERS[name]
    parts = Detokenizer(ours)
    found, shown = b"", ""
    for index in ours.encode(text):
        found += parts.bytes_here(index)
        shown += parts.add(index)
    assert found.decode() == shown + parts.finish() == text


def test_a_token_and_its_rivals_have_their_bytes() -> None:
    ours = TOKENIZERS["byte-level"]
    half, other = ours.encode("é日")[0], ours.encode("the")[0]
    broken = next(i for i in range(256) if ours.token_bytes(i) == b"\xf0")
    logits = np.zeros(ours.vocab_size, np.float32)
    logits[[half, broken, other]] = 3, 2, 1
    entry = token_logprob(logits, broken, 3, Detokenizer(ours).bytes_here)
    assert (entry.bytes, entry.text) == (b"\xf0", "\ufffd")
    assert entry.top_bytes == (ours.token_bytes(half), b"\xf0", ours.token_bytes(other))
    assert [text for _, text, _ in entry.top] == ["\ufffd", "\ufffd", "t"]


def test_words_within_a_sentencepiece_text_keep_their_space() -> None:
    ours = TOKENIZERS["spm"]
    space, a = (ours.inner.token_to_id(piece) for piece in ("\u2581", "a"))
    parts = Detokenizer(ours)
    assert parts.bytes_here(space) == b""
    assert [parts.add(index) for index in (a, space)] == ["a", " "]
    assert parts.bytes_here(space) == b" "
    assert parts.bytes_here(ours.inner.token_to_id("<s>")) == b"<s>"
