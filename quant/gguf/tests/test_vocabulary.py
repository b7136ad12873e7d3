"""Tokenizers against llama.cpp's own vectors, the models' own tokenizer.json, and SentencePiece."""

from __future__ import annotations

import gzip
import io
import json
import logging
import lzma
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import sentencepiece
import tokenizers
from tokenizers.pre_tokenizers import ByteLevel
from tramontane.errors import CheckpointError, NoTokenizer
from tramontane.tokenizer.charsmap import check_charsmap
from tramontane.tokenizer.spm_model import read_spm
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_quant_gguf.container import open_gguf
from tramontane_quant_gguf.endings import find_endings
from tramontane_quant_gguf.pretokenizers import DEFAULT, PRE, pre_named

Write = Callable[..., Path]
SEPARATOR = "\n__ggml_vocab_test__\n"
VOCABULARIES = ("bert-bge", "deepseek-llm", "gpt-2", "llama-spm", "phi-3", "starcoder")
NORMAL, UNKNOWN, CONTROL, USER = 1, 2, 3, 4


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """As llama.cpp's test does: nothing added, and the spelling of a special token is text."""
    tokenizer.inner.encode_special_tokens = True
    return list(tokenizer.inner.encode(text, add_special_tokens=False).ids)


def vectors(data: Path, name: str) -> list[tuple[str, list[int]]]:
    base = data / "tokenizers" / "llama.cpp" / f"ggml-vocab-{name}.gguf"
    with base.with_suffix(".gguf.inp").open(encoding="utf-8", newline="") as file:
        texts = file.read().split(SEPARATOR)
    lines = base.with_suffix(".gguf.out").read_text().split("\n")
    cases = [
        (text, [int(number) for number in line.split()])
        for text, line in zip(texts, lines, strict=True)
    ]
    assert len(cases) >= 46
    return cases


@pytest.mark.parametrize("name", VOCABULARIES)
def test_llama_cpp_vectors(data: Path, name: str) -> None:
    folder = data / "tokenizers" / "llama.cpp"
    tokenizer = open_gguf(folder / f"ggml-vocab-{name}.gguf").tokenizer()
    for text, expected in vectors(data, name):
        assert encode(tokenizer, text) == expected, repr(text)


FACTS: dict[str, tuple[int | None, set[int], bool, bool]] = {
    "baichuan": (1, {2}, True, False),
    "deepseek-llm": (100000, {100001}, True, False),
    "gpt-2": (50256, {50256}, False, False),
    "gpt-neox": (0, {0}, False, False),
    "llama-spm": (1, {2}, True, False),
    "phi-3": (1, {2, 32000, 32007}, True, False),
    "starcoder": (0, {0, 4}, False, False),
    "refact": (0, {0, 4, 18}, False, False),
}


@pytest.mark.parametrize("name", FACTS)
def test_ends_and_what_is_added(data: Path, name: str) -> None:
    path = data / "tokenizers" / "llama.cpp" / f"ggml-vocab-{name}.gguf"
    tokenizer = open_gguf(path).tokenizer()
    found = (tokenizer.bos_id, set(tokenizer.eos_ids), tokenizer.add_bos, tokenizer.add_eos)
    assert found == FACTS[name]
    assert tokenizer.vocab_size == open_gguf(path).header.config["vocab_size"]


def test_special_tokens_of_phi_3_take_the_space_after_them(data: Path) -> None:
    path = data / "tokenizers" / "llama.cpp" / "ggml-vocab-phi-3.gguf"
    inner = open_gguf(path).tokenizer().inner
    ids = inner.encode("<|user|>\n Hi", add_special_tokens=False).ids
    assert [inner.id_to_token(index) for index in ids] == ["<|user|>", "▁Hi"]


Json = dict[str, Any]


def opened(path: Path) -> Json:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".xz":
        raw = lzma.decompress(raw)
    found: Json = json.loads(raw)
    return found


def add_bpe(vocabulary: dict[str, int], merges: list[str], pre: str) -> Callable[..., None]:
    tokens = [f"[HOLE_{index}]" for index in range(max(vocabulary.values()) + 1)]
    for token, index in vocabulary.items():
        tokens[index] = token

    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_list(tokens)
        writer.add_token_types([NORMAL] * len(tokens))
        writer.add_token_merges(merges)

    return fill


def test_qwen2_vectors(data: Path, write: Write) -> None:
    folder = data / "tokenizers" / "qwen2"
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    tokenizer = open_gguf(write(add_bpe(vocabulary, merges, "qwen2"))).tokenizer()
    for text, expected in vectors(data, "qwen2"):
        assert encode(tokenizer, text) == expected, repr(text)


@pytest.mark.parametrize(
    ("file", "pre"),
    [
        ("qwen3/qwen3-tokenizer.json.xz", "qwen2"),
        ("deepseek/deepseek-v3-tokenizer.json.gz", "deepseek-v3"),
        ("deepseek/deepseek-v4-tokenizer.json.gz", "joyai-llm"),
        ("mistral/mistral-ministral3-tekken-tokenizer.json.xz", "tekken"),
        ("phi/phi-2-tokenizer.json", "phi-2"),
    ],
)
def test_pre_tokenizers_cut_as_the_models_own_do(
    data: Path, write: Write, file: str, pre: str
) -> None:
    described = opened(data / "tokenizers" / file)
    model = described["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    described["added_tokens"] = []
    described["post_processor"] = None
    reference = tokenizers.Tokenizer.from_str(json.dumps(described))
    tokenizer = open_gguf(write(add_bpe(model["vocab"], merges, pre))).tokenizer()
    texts = [text for text, _ in vectors(data, "qwen2")]
    samples = sorted((data / "text").rglob("*.txt"))
    texts += [path.read_text(encoding="utf-8", errors="replace")[:50_000] for path in samples]
    for text in texts:
        expected = reference.encode(text, add_special_tokens=False).ids
        assert encode(tokenizer, text) == expected, repr(text[:80])


def test_every_pre_tokenizer_keeps_every_character() -> None:
    text = "Hello World's 1234567 don'T\r\n\n  x　你好 ÀÉ 𐐀 ǅ _<sentinel:1>   가 กข !?… 1 \t"
    for name, pre in PRE.items():
        pieces = pre.pre_tokenizer().pre_tokenize_str(text)
        spans = [span for _, span in pieces]
        assert spans[0][0] == 0, name
        assert spans[-1][1] == len(text), name
        assert all(a[1] == b[0] for a, b in pairwise(spans)), name


CUTS = {
    "llama-bpe": ["Hi", " there", "'S", " ", "123", "45", "  ", " x", "\n\n"],
    "qwen2": ["Hi", " there", "'S", " ", "1", "2", "3", "4", "5", "  ", " x", "\n\n"],
    "gpt-2": ["Hi", " there", "'", "S", " 12345", "  ", " x", "\n\n"],
    "gpt-4o": ["Hi", " there'S", " ", "123", "45", "  ", " x", "\n\n"],
    "starcoder": ["Hi", " there", "'", "S", " ", "1", "2", "3", "4", "5", "  ", " x", "\n\n"],
    "tiny_aya": ["Hi", " there'S", " ", "12", "345", "  ", " x", "\n\n"],
    "superbpe": ["Hi there'S ", "12", "345", "   x\n\n"],
    "bloom": ["Hi", " there'S", " 12345", "  ", " x", "\n\n"],
    "default": ["Hi", " there", "'", "S", " ", "123", "45", "  ", " x", "\n\n"],
}


@pytest.mark.parametrize("name", CUTS)
def test_cuts(name: str) -> None:
    text = "Hi there'S 12345   x\n\n"
    spans = [span for _, span in PRE[name].pre_tokenizer().pre_tokenize_str(text)]
    assert [text[slice(*span)] for span in spans] == CUTS[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [(None, "names no"), ("newest-9000", "unknown pre-tokenizer 'newest-9000'")],
)
def test_unknown_pre_tokenizers_warn(
    name: str | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert pre_named(name) is DEFAULT
    assert message in caplog.text
    assert "'default'" in caplog.text


def test_endings_are_found_by_spelling() -> None:
    tokens = ["a", "<|im_end|>", "<|endoftext|>", "<|fim_prefix|>", "<|channel|>", "b"]
    ends, types = find_endings(tokens, [1, 3, 1, 1, 3, 1], (5, None))
    assert ends == [1, 2, 5]
    assert types == [NORMAL, CONTROL, CONTROL, CONTROL, USER, NORMAL]


def test_harmony_goes_on_after_end() -> None:
    tokens = ["<|return|>", "<|call|>", "<|end|>", "<|endoftext|>"]
    ends, types = find_endings(tokens, [3, 3, 3, 3], (0, None))
    assert ends == [0, 1, 3]
    assert types[2] == USER


def test_gemma_4_ends_no_answer_with_strike_through() -> None:
    ends, types = find_endings(["</s>", "<|tool_response>", "<eos>"], [3, 3, 3], ())
    assert ends == [1, 2]
    assert types[0] == NORMAL


def add_pieces(model: bytes, kind: str) -> Callable[[gguf.GGUFWriter], None]:
    spm = read_spm(model)

    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model(kind)
        writer.add_token_list([text for text, _, _ in spm.pieces])
        writer.add_token_scores([score for _, score, _ in spm.pieces])
        writer.add_token_types([kind for _, _, kind in spm.pieces])
        writer.add_unk_token_id(spm.unk_id)
        writer.add_remove_extra_whitespaces(spm.collapse_spaces)
        if spm.charsmap:
            writer.add_precompiled_charsmap(spm.charsmap)

    return fill


@pytest.fixture(scope="module")
def trained() -> Callable[..., bytes]:
    sentences = [f"the {a} and the {b} saw ﬁve {a}s" for a in ["cat", "dog", "bird"]
                 for b in ("sea", "sun", "moon", "ｈｉｌｌ")] * 20  # fmt: skip

    def train(kind: str, **options: Any) -> bytes:
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=written, model_type=kind,
            vocab_size=330, hard_vocab_limit=False, minloglevel=2, **options,
        )  # fmt: skip
        return written.getvalue()

    return train


TEXTS = ("the cat", " the  dogs ", "ﬁve birds saw ｈｉｌｌ", "x", "", "the sun\nand\tmoon")


def test_unigrams_are_those_of_sentencepiece(write: Write, trained: Callable[..., bytes]) -> None:
    model = trained("unigram")
    reference = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = open_gguf(write(add_pieces(model, "t5"))).tokenizer()
    assert tokenizer.add_eos
    for text in TEXTS:
        assert encode(tokenizer, text) == reference.encode(text), repr(text)


def test_joins_are_those_of_sentencepiece(write: Write, trained: Callable[..., bytes]) -> None:
    model = trained(
        "bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False,
    )  # fmt: skip
    reference = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = open_gguf(write(add_pieces(model, "llama"))).tokenizer()
    for text in (*TEXTS, "ünïcödé 你好"):
        assert encode(tokenizer, text) == reference.encode(text), repr(text)


def test_damaged_normalization_rules_are_refused(trained: Callable[..., bytes]) -> None:
    rules = read_spm(trained("unigram")).charsmap
    assert check_charsmap(rules) == rules
    random = np.random.default_rng(3)
    refused = 0
    for _ in range(20):
        damaged = bytearray(rules)
        for place in random.integers(0, len(rules), 20):
            damaged[place] = random.integers(256)
        try:
            checked = check_charsmap(bytes(damaged))
        except CheckpointError:
            refused += 1
            continue
        tokenizers.normalizers.Precompiled(checked).normalize_str("ﬁ abc ① Ａ ｶﾞ é ㍿")
    assert refused


BYTES = sorted(ByteLevel.alphabet())


def test_byte_bpe_added_tokens(write: Write) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        tokens = [*BYTES, "th", "the", "<|im_start|>", "<|im_end|>", "<tool>", "the"]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(tokens)
        writer.add_token_types([NORMAL] * 258 + [CONTROL, CONTROL, USER, NORMAL])
        writer.add_token_merges(["t h", "th e", "th e", "no token", "x"])
        writer.add_bos_token_id(258)
        writer.add_eos_token_id(259)
        writer.add_add_bos_token(False)

    tokenizer = open_gguf(write(fill)).tokenizer()
    assert tokenizer.special_ids == {258, 259}
    assert (tokenizer.bos_id, tokenizer.eos_ids, tokenizer.add_bos) == (258, {259}, False)
    assert tokenizer.named == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    ids = tokenizer.inner.encode("<|im_start|>the<tool>").ids
    assert ids == [258, 257, 260]
    assert encode(tokenizer, "<|im_start|>the")[0] == BYTES.index("<")
    assert tokenizer.inner.decode(encode(tokenizer, "ünïcödé 你好\n")) == "ünïcödé 你好\n"


def test_gemma_4_is_raw_text(write: Write) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gemma4")
        tokens = ["<pad>", "<eos>", "<bos>", "▁", "a", "b", "ab", "\n", "\n\n", "<0xC3>", "<0xA9>"]
        writer.add_token_list(tokens)
        writer.add_token_types([CONTROL] * 3 + [NORMAL] * 6 + [6] * 2)
        writer.add_token_merges(["a b", "\n \n"])
        writer.add_bos_token_id(2)

    tokenizer = open_gguf(write(fill)).tokenizer()
    assert tokenizer.add_bos
    ids = encode(tokenizer, "ab a\n\né")
    assert ids == [6, 3, 4, 8, 9, 10]
    assert tokenizer.inner.decode(ids) == "ab a\n\né"


def damaged_vocabulary(**changes: Any) -> Callable[[gguf.GGUFWriter], None]:
    def fill(writer: gguf.GGUFWriter) -> None:
        values: dict[str, Any] = {
            "model": "llama", "tokens": ["<unk>", "a"], "scores": [0.0, 0.0], **changes,
        }  # fmt: skip
        for key, value in values.items():
            if value is not None:
                add = writer.add_array if isinstance(value, list) else writer.add_string
                add(f"tokenizer.ggml.{key}", value)

    return fill


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "plamo2"}, "tokenizer.ggml.model='plamo2' is not supported"),
        ({"tokens": None}, "tokenizer.ggml.tokens is missing or not an array of strings"),
        ({"tokens": [1, 2]}, "tokenizer.ggml.tokens is missing or not an array of strings"),
        ({"tokens": "ab"}, "tokenizer.ggml.tokens is missing or not an array of strings"),
        ({"scores": [0.0]}, "tokenizer.ggml.scores is missing or not an array of 2 numbers"),
        ({"token_type": ["a", "b"]}, "tokenizer.ggml.token_type is missing or not an array"),
        ({"model": "gpt2"}, "tokenizer.ggml.merges is missing or not an array of strings"),
        ({"model": "bert"}, "tokenizer.ggml.unknown_token_id is no token's"),
        ({"model": "t5", "precompiled_charsmap": [4, 0]}, "precompiled_charsmap is missing or not"),
    ],
)
def test_unusable_vocabularies_are_refused(
    write: Write, changes: dict[str, Any], message: str
) -> None:
    path = write(damaged_vocabulary(**changes))
    with pytest.raises(CheckpointError, match=message):
        open_gguf(path).tokenizer()


def test_longest_match_of_rwkv(write: Write) -> None:
    """Bytes as Python writes them; what pads the vocabulary is in no text."""
    words = [b"\n\n", b" a", b"ab", b"\xe4\xb8", b"it's"]
    plain = [repr(data)[2:-1] for data in (*(bytes([byte]) for byte in range(256)), *words)]

    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("rwkv")
        writer.add_token_list(["<s>", *plain, "[PAD262]"])
        writer.add_token_types([CONTROL, *[NORMAL] * len(plain), 5])
        writer.add_eos_token_id(0)
        writer.add_eot_token_id(257)

    tokenizer = open_gguf(write(fill)).tokenizer()
    assert tokenizer.encode("<s> ab\n\n\u4e2dit's") == [0, 258, 99, 257, 260, 174, 261]
    assert tokenizer.encode("[PAD262]") == [1 + ord(sign) for sign in "[PAD262]"]
    assert tokenizer.decode([0, 258, 99, 260, 174, 261]) == " ab\u4e2dit's"
    assert (tokenizer.eos_ids, tokenizer.add_bos) == ({0, 257}, False)


def test_a_byte_that_rwkv_has_no_token_for(write: Write) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("rwkv")
        writer.add_token_list(["<s>", "a", "b"])

    with pytest.raises(CheckpointError, match="no token for the byte 0x00"):
        open_gguf(write(fill)).tokenizer()


@pytest.mark.parametrize("model", ["none", "no_vocab"])
def test_files_that_say_they_have_no_tokenizer_have_none(write: Write, model: str) -> None:
    with pytest.raises(NoTokenizer, match=f"tokenizer.ggml.model='{model}' says so"):
        open_gguf(write(damaged_vocabulary(model=model))).tokenizer()
