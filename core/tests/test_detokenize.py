"""Streaming text equals the whole text, whatever the ids are."""

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tramontane.tokenizer import Detokenizer, Tokenizer, from_folder
from tramontane.tokenizer.byte_alphabet import CHAR_OF, spell
from tramontane.tokenizer.spm import from_pieces

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights"


def byte_level() -> Tokenizer:
    parts = [" the", "🚀", "\n\n", "日", "é"]
    words = [*CHAR_OF.values(), *(spell(part.encode()) for part in parts), spell(b"\xf0\x9f\x9a")]
    vocab = {word: index for index, word in enumerate(dict.fromkeys(words))}
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken("<|end|>", special=True)])
    inner.add_tokens([AddedToken("<tool>", special=False)])
    return Tokenizer(inner)


def spm() -> Tokenizer:
    pieces = [
        ("<unk>", 0.0, 2),
        ("<s>", 0.0, 3),
        *((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)),
        *(
            (text, -float(i), 1)
            for i, text in enumerate(["\u2581", "\u2581\u2581", "a", "日", "é"])
        ),
        ("<tool>", 0.0, 4),
    ]
    return Tokenizer(from_pieces(pieces, model="bpe"))


TOKENIZERS = {"byte-level": byte_level(), "spm": spm()}
# SentencePiece cannot tell its sign for a space from a space
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=40)
IDS = st.lists(st.integers(-1, 280) | st.integers(0xC0, 0x120), max_size=60)


def stream(ours: Tokenizer, ids: list[int], skip: bool) -> list[str]:
    parts = Detokenizer(ours, skip_special=skip)
    return [*(parts.add(index) for index in ids), parts.finish()]


@pytest.mark.parametrize("name", TOKENIZERS)
@given(ids=IDS, skip=st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_ids_stream_to_what_decode_says(name: str, ids: list[int], skip: bool) -> None:
    ours = TOKENIZERS[name]
    assert "".join(stream(ours, ids, skip)) == ours.decode(ids, skip_special=skip)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_text_streams_back_without_replacements(name: str, text: str) -> None:
    ours = TOKENIZERS[name]
    parts = stream(ours, ours.encode(text, parse_special=False), skip=True)
    assert "".join(parts) == text
    assert all("\ufffd" not in part for part in parts) or "\ufffd" in text


@pytest.mark.parametrize("name", TOKENIZERS)
def test_an_emoji_comes_whole(name: str) -> None:
    ours = TOKENIZERS[name]
    ids = [index for index in ours.encode("🚀") if ours.token_bytes(index) != b" "]
    assert len(ids) > 1
    assert stream(ours, ids, skip=True) == [*[""] * (len(ids) - 1), "🚀", ""]
    # one for what is left of a character, or, as SentencePiece has it, one for each byte
    lost = "\ufffd" * (3 if name == "spm" else 1)
    assert stream(ours, ids[:-1], skip=True)[-1] == lost == ours.inner.decode(ids[:-1])


def test_broken_bytes_come_as_soon_as_they_are_known() -> None:
    parts = Detokenizer(byte_level())
    find = {byte_level().token_bytes(index): index for index in range(256)}
    assert parts.add(find[b"\xe4"]) == ""
    assert parts.add(find[b"a"]) == "\ufffda"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["\u2581", "a"], ["", "a", ""]),
        (["\u2581\u2581", "a"], [" ", "a", ""]),
        (["<s>", "\u2581", "a"], ["", "", "a", ""]),
        (["a", "\u2581", "a"], ["a", " ", "a", ""]),
        (["<0x20>", "\u2581"], ["", " ", ""]),
    ],
)
def test_the_first_space_goes(pieces: list[str], expected: list[str]) -> None:
    ours = TOKENIZERS["spm"]
    ids = [ours.inner.token_to_id(piece) for piece in pieces]
    assert stream(ours, ids, skip=True) == expected


def test_within_a_text_the_first_space_stays() -> None:
    ours = TOKENIZERS["spm"]
    ids = [ours.inner.token_to_id(piece) for piece in ("\u2581", "a")]
    parts = Detokenizer(ours, within=True)
    assert [parts.bytes_here(index) for index in ids] == [b" ", b"a"]
    assert [parts.add(index) for index in ids] == [" ", "a"]


@given(ids=st.lists(st.integers(0, 2100), max_size=80), skip=st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_real_vocabulary(ids: list[int], skip: bool) -> None:
    folder = DATA / "TinyStories-656K" / "16bit"
    if not folder.exists():
        pytest.skip(f"no test data at {folder}")
    ours = real(folder)
    assert "".join(stream(ours, ids, skip)) == ours.decode(ids, skip_special=skip)


_REAL: list[Tokenizer] = []


def real(folder: Path) -> Tokenizer:
    if not _REAL:
        _REAL.append(from_folder(folder))
    return _REAL[0]
