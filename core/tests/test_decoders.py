"""Every kind of decoder and of added token decodes as in the `tokenizers` package."""

from pathlib import Path

import pytest
import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers
from tramontane.tokenizer import Tokenizer, from_folder

from .decoding import differing, sequences, streamed

SIGN = "\u2581"
REPLACE = decoders.Replace(SIGN, " ")
BYTES = [decoders.ByteFallback(), decoders.Fuse()]
DECODERS = {
    "byte level": decoders.ByteLevel(),
    "metaspace": decoders.Metaspace(),
    "metaspace, no prefix": decoders.Metaspace(prepend_scheme="never"),
    "llama": decoders.Sequence([REPLACE, *BYTES, decoders.Strip(" ", 1, 0)]),
    "gemma": decoders.Sequence([REPLACE, *BYTES]),
    "strip two": decoders.Sequence([REPLACE, *BYTES, decoders.Strip("a", 2, 0)]),
    "strip each": decoders.Sequence([REPLACE, decoders.Strip(" ", 1, 0), decoders.Fuse()]),
    "regex": decoders.Sequence([decoders.Replace(Regex("\u2581+"), " "), *BYTES]),
    "bytes and metaspace": decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
    "word pieces": decoders.WordPiece(),
    "word pieces, as they are": decoders.WordPiece(prefix="@@", cleanup=False),
    "suffixes": decoders.BPEDecoder(),
    "ctc": decoders.CTC(),
    "ctc, as it is": decoders.CTC(pad_token="a", cleanup=False),
    "none": None,
}
PIECES = [
    "a", "b", f"{SIGN}a", SIGN, SIGN * 2, f"a{SIGN}b", "é", "日", "##b", "##", "@@b", ".", " .",
    " n't", " do not", "'s", "a</w>", "</w>", "a</w>b", "<pad>", "|", "a|b", " ", "  ", " a ",
    "Ġ", "Ġa", "Ã", "©", "æĹ", "¥", "\n",
    "<0x20>", "<0x41>", "<0xC3>", "<0xA9>", "<0xE4>", "<0x0A>",
]  # fmt: skip
ADDED = [
    AddedToken("<s>", special=True),
    AddedToken(f"<{SIGN}x>", special=True),
    AddedToken(" <t> ", special=True, normalized=True),
    AddedToken("<n>", normalized=True),
    AddedToken("<l>", lstrip=True),
    AddedToken("<r>", rstrip=True, normalized=False),
    AddedToken("<w>", single_word=True),
    AddedToken("   ", normalized=False),
    AddedToken(SIGN * 3, normalized=False),
    AddedToken(SIGN * 4, normalized=True),
    AddedToken(f"{SIGN}<b>{SIGN}", lstrip=True),
    AddedToken("\n\n", normalized=False),
    AddedToken("##<c>"),
    AddedToken("<e></w>"),
    AddedToken("<0xE5>", normalized=False),
    AddedToken("Ġ<g>", normalized=False),
]


NORMALIZERS = {
    "none": None,
    "llama": normalizers.Sequence([normalizers.Prepend(SIGN), normalizers.Replace(" ", SIGN)]),
    "byte level": normalizers.ByteLevel(),
}


def made(
    decoder: decoders.Decoder | None,
    added: list[AddedToken],
    normalizer: normalizers.Normalizer | None = None,
) -> Tokenizer:
    vocab = {piece: index for index, piece in enumerate(PIECES)}
    inner = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="a"))
    if decoder is not None:
        inner.decoder = decoder
    if normalizer is not None:
        inner.normalizer = normalizer
    for token in added:
        (inner.add_special_tokens if token.special else inner.add_tokens)([token])
    return Tokenizer(inner)


@pytest.mark.parametrize("name", DECODERS)
def test_every_token_and_every_pair(name: str) -> None:
    ours = made(DECODERS[name], ADDED)
    assert ours.vocab_size == len(PIECES) + len(ADDED)
    assert not list(differing(ours, sequences(ours.vocab_size, 10_000)))


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("name", ["byte level", "llama", "metaspace"])
def test_added_tokens_that_are_looked_for_in_normalized_text(name: str, normalizer: str) -> None:
    ours = made(DECODERS[name], ADDED, NORMALIZERS[normalizer])
    first = len(PIECES)
    pairs = [(a, b) for a in range(first, ours.vocab_size) for b in (0, 2, a)]
    ids = [*((index,) for index in range(first, ours.vocab_size)), *pairs]
    assert not list(differing(ours, [*ids, *((b, a) for a, b in pairs)]))


@pytest.mark.parametrize("pieces", [["b", "a", "a"], ["a", "b"], ["b", "a", "b"], ["b"]])
def test_what_is_stripped_at_the_end_waits_for_more(pieces: list[str]) -> None:
    # apart from the others, as the package panics on a text shorter than what is stripped
    ours = made(decoders.Sequence([*BYTES, decoders.Strip("a", 0, 1)]), [])
    ids = [PIECES.index(piece) for piece in pieces]
    assert ours.decode(ids) == streamed(ours, ids, True) == ours.inner.decode(ids)


@pytest.mark.parametrize("name", DECODERS)
def test_ids_that_are_no_tokens_do_not_begin_a_text(name: str) -> None:
    ours = made(DECODERS[name], ADDED)
    ids = [PIECES.index(piece) for piece in (f"{SIGN}a", "a</w>", "##b")]
    right = ours.inner.decode(ids)
    assert ours.decode([-1, *ids, 1 << 40]) == right
    assert streamed(ours, [-1, *ids, 1 << 40], True) == right


def test_added_text_that_byte_level_takes_for_broken_bytes_stays() -> None:
    # the package prints U+FFFD for it, as it looks each of its letters up as a byte
    ours = made(decoders.ByteLevel(), [AddedToken("¿é", normalized=False)])
    (index,) = ours.encode("¿é")
    assert ours.decode([index]) == "¿é"
    assert ours.token_bytes(index) == "¿é".encode()


def test_runs_of_spaces_that_were_added_are_spaces(tmp_path: Path) -> None:
    # as in Gemma's tokenizer.json
    ours = made(DECODERS["gemma"], [AddedToken(SIGN * 8, normalized=True)])
    ours.inner.save(str(tmp_path / "tokenizer.json"))
    found = from_folder(tmp_path)
    index = found.inner.token_to_id(SIGN * 8)
    assert found.decode([0, index, 0]) == "a        a"
    assert found.token_bytes(index) == b" " * 8


SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "tokenizers"


@pytest.mark.parametrize(
    "name",
    [
        "phi/phi-3-mini-tokenizer.json",
        "mistral/tokenizer.model.v1",
        "../weights/TinyStories-656K/16bit/tokenizer.json",
    ],
)
def test_a_real_vocabulary(name: str, tmp_path: Path) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no test data at {path}")
    target = "tokenizer.json" if path.suffix == ".json" else "tokenizer.model"
    (tmp_path / target).write_bytes(path.read_bytes())
    ours = from_folder(tmp_path)
    assert not list(differing(ours, sequences(ours.vocab_size, 5_000)))
