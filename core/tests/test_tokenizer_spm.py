"""SentencePiece vocabularies against the sentencepiece package, llama.cpp and Mistral."""

import io
import json
import random
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tramontane.errors import CheckpointError
from tramontane.tokenizer import Tokenizer
from tramontane.tokenizer.spm import from_pieces
from tramontane.tokenizer.spm_model import SpmModel, read_spm

sentencepiece = pytest.importorskip("sentencepiece")

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
MISTRAL = DATA / "tokenizers" / "mistral"
MODELS = [
    MISTRAL / "tokenizer.model.v1",
    MISTRAL / "mistral_instruct_tokenizer_240216.model.v2",
    MISTRAL / "mistral_instruct_tokenizer_240323.model.v3",
    MISTRAL / "mistral_instruct_tokenizer_241114.model.v7",
    DATA / "weights" / "stories260K" / "tok512_candidate.model",
]
TRAINED = {
    "unigram": {"model_type": "unigram"},
    "bpe": {"model_type": "bpe"},
    "unigram, as it is, bytes": {
        "model_type": "unigram",
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "byte_fallback": True,
    },
    "bpe, no prefix, user-defined spaces": {
        "model_type": "bpe",
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "byte_fallback": True,
        "user_defined_symbols": ["<tool>", "\u2581\u2581", "\u2581\u2581\u2581"],
    },
}
WORDS = [
    "hello",
    " world",
    "  ",
    "\n",
    "the",
    "ing",
    " 你好",
    "🚀",
    "é",
    "ﬁ",
    "①",
    "12",
    '="',
    "</",
]
KEYS = ("tokens", "scores", "token_type")
PLANES = [(32, 127), (0x80, 0x2000), (0x2000, 0xD800), (0xE000, 0x1FFFF)]


def there(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no test data at {path}")
    return path


def texts(count: int) -> list[str]:
    """Random Unicode, words, and runs of spaces."""
    rng = random.Random(1)
    found = []
    for index in range(count):
        size = rng.randrange(60)
        if index % 3 == 0:
            chars = [chr(rng.randrange(*rng.choice(PLANES))) for _ in range(size)]
        elif index % 3 == 1:
            chars = [rng.choice(WORDS) for _ in range(size)]
        else:
            chars = [rng.choice(" a\n\t1 ") for _ in range(size)]
        found.append("".join(chars))
    return found


def build(model: SpmModel) -> Tokenizer:
    inner = from_pieces(
        model.pieces,
        model=model.model,
        add_prefix=model.add_prefix,
        byte_fallback=model.byte_fallback,
        unk_id=model.unk_id,
        collapse_spaces=model.collapse_spaces,
        charsmap=model.charsmap,
    )
    return Tokenizer(inner, bos_id=model.bos_id)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_model_files_encode_and_decode_as_sentencepiece(path: Path) -> None:
    model = read_spm(there(path).read_bytes())
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ours = build(model)
    assert [ours.piece(i) for i in range(500)] == [theirs.id_to_piece(i) for i in range(500)]
    assert (model.bos_id, model.eos_id) == (theirs.bos_id(), theirs.eos_id())
    for text in texts(1500):
        ids = theirs.encode(text)
        assert ours.encode(text) == ids
        assert ours.decode(ids) == theirs.decode(ids)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_here_encode_as_sentencepiece(name: str) -> None:
    lines = there(DATA / "text" / "tinyshakespeare.txt").read_text().split("\n")[:6000]
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=file,
        vocab_size=800,
        minloglevel=2,
        **TRAINED[name],
    )
    theirs = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    ours = build(read_spm(file.getvalue()))
    for text in [*texts(900), "<tool>a  b   c<tool>"]:
        assert ours.encode(text) == theirs.encode(text)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_mistral_samples(version: int) -> None:
    ours = build(read_spm(there(MODELS[version - 1]).read_bytes()))
    assert ours.bos_id is not None
    special = "|".join(re.escape(ours.piece(index)) for index in ours.special_ids)
    samples = sorted((MISTRAL / "samples").glob(f"*/text_v{version}.txt"))
    assert samples
    for sample in samples:
        shown = sample.read_text().replace("<0x0A>", "\n")
        # shown with the prefix that encoding puts after each special token
        text = re.sub(f"({special})[ \u2581]", r"\1", shown).replace("\u2581", " ")
        expected = json.loads((sample.parent / f"tokens_v{version}.json").read_text())["tokens"]
        assert ours.encode(text) == expected, sample


@pytest.mark.parametrize("name", ["llama-spm", "phi-3"])
def test_gguf_vocabularies_encode_as_llama_cpp(name: str) -> None:
    gguf = pytest.importorskip("gguf")
    path = there(DATA / "tokenizers" / "llama.cpp" / f"ggml-vocab-{name}.gguf")
    fields = gguf.GGUFReader(path).fields
    tokens, scores, types = (fields[f"tokenizer.ggml.{x}"] for x in KEYS)
    pieces = [
        (bytes(tokens.parts[a]).decode(), float(scores.parts[b][0]), int(types.parts[c][0]))
        for a, b, c in zip(tokens.data, scores.data, types.data, strict=True)
    ]
    ours = Tokenizer(from_pieces(pieces, model="bpe"))
    inputs = Path(f"{path}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    outputs = Path(f"{path}.out").read_text().splitlines()
    for text, line in zip(inputs, outputs, strict=False):
        assert ours.encode(text) == [int(number) for number in line.split()], text


def test_large_vocabularies_are_quick() -> None:
    rng = random.Random(0)
    words = {"".join(rng.choices("etaoinshrdlu", k=rng.randrange(1, 9))) for _ in range(60_000)}
    pieces = [("<unk>", 0.0, 2), *((word, -float(i), 1) for i, word in enumerate(sorted(words)))]
    start = time.process_time()
    from_pieces(pieces, model="bpe", byte_fallback=False)
    assert time.process_time() - start < 3


def test_repeated_and_empty_pieces_keep_their_ids() -> None:
    pieces = [("<unk>", 0.0, 2), ("a", -1.0, 1), ("a", -2.0, 1), ("", -3.0, 1), ("b", -4.0, 1)]
    ours = Tokenizer(from_pieces(pieces, model="bpe", add_prefix=False, byte_fallback=False))
    assert ours.encode("ab") == [1, 4]
    assert ours.decode([1, 2, 3, 4]) == "ab"


def test_prefix_only_at_the_start() -> None:
    letters = [(char, -float(i), 1) for i, char in enumerate("ab\u2581")]
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), *letters]
    each = Tokenizer(from_pieces(pieces, model="bpe"))
    first = Tokenizer(from_pieces(pieces, model="bpe", prefix_each=False))
    assert [each.piece(i) for i in each.encode("a<s>b")] == ["\u2581", "a", "<s>", "\u2581", "b"]
    assert [first.piece(i) for i in first.encode("a<s>b")] == ["\u2581", "a", "<s>", "b"]


@pytest.mark.parametrize(
    ("pieces", "unk_id", "complaint"),
    [
        ([], 0, "no pieces"),
        ([("a", 0.0, 1)], 5, "outside"),
        ([("a", float("nan"), 1)], 0, "piece 0, 'a', has the score nan"),
        ([("<unk>", 0.0, 2), ("a" * 40_000, 0.0, 1)], 0, "too long"),
    ],
)
def test_impossible_vocabularies(
    pieces: list[tuple[str, float, int]], unk_id: int, complaint: str
) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        from_pieces(pieces, model="bpe", unk_id=unk_id)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no pieces"),
        (b"\x0a\x05\x0a\x01", "are left"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "are left|longer than 64"),
        (b"\x0a\x03\x0a\x01\xff", "not UTF-8"),
        (b"\x0b", "wire"),
        (b"\x0a\x03\x0a\x01a\x12\x02\x18\x03", "neither unigram"),
        (b"PK\x03\x04rubbish", "byte"),
    ],
)
def test_damaged_model_files(data: bytes, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        read_spm(data)


def test_cut_model_files() -> None:
    data = there(MODELS[-1]).read_bytes()
    for size in range(0, len(data), 37):
        with suppress(CheckpointError):  # a cut between two pieces leaves a smaller model
            read_spm(data[:size])
