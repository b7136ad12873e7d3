"""Files that are written here: what is found in them, and what is wrong with others."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers
from tramontane import LLM
from tramontane.cli.main import main
from tramontane.errors import CheckpointError
from tramontane.tokenizer.alphabet import byte_level
from tramontane_quant_ggml.blocks import OLD, old_blocks
from tramontane_quant_ggml.container import open_ggml
from tramontane_quant_ggml.families import FAMILIES
from tramontane_quant_ggml.header import OldFile, read_old
from tramontane_quant_ggml.sample import write
from tramontane_quant_ggml.vocabulary import tokenizer_of

TEXTS = ("The quick brown fox", " an old    file\n\nand that", "th\u00e9 \u4f60\u597d the 12th")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write(tmp_path / "old.bin", "ggjt")


@pytest.mark.parametrize("container", ["ggml", "ggmf", "ggjt"])
def test_a_file_is_run(container: str, tmp_path: Path) -> None:
    path = write(tmp_path / "old.bin", container)
    with LLM(path, threads=1) as llm:
        assert len(llm.generate("the and", max_tokens=4, temperature=0).token_ids) == 4


@pytest.mark.parametrize("container", ["ggml", "ggmf", "ggjt"])
def test_pieces_cut_texts_and_give_them_back(container: str, tmp_path: Path) -> None:
    tokenizer = open_ggml(write(tmp_path / "old.bin", container)).tokenizer()
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special=False)
        assert tokenizer.decode(ids) == text
    the = tokenizer.encode("the", add_special=False)
    assert [tokenizer.piece(each) for each in the] == ["\u2581the"]


@pytest.mark.parametrize("raw", [True, False], ids=["bytes", "GPT-2's alphabet"])
def test_the_order_of_tokens_tells_their_merges(raw: bool, tmp_path: Path) -> None:
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    inner.train_from_iterator([Path(__file__).read_text()], trainer)
    by_id = sorted(inner.get_vocab().items(), key=lambda pair: pair[1])
    texts = [byte_level(token) if raw else token.encode() for token, _ in by_id]
    fields = {"n_vocab": len(texts)}
    file = OldFile("ggml", FAMILIES[1], 1, fields, [(text, None) for text in texts], {})
    found = tokenizer_of(file, tmp_path / "old.bin")
    for text in (*TEXTS, Path(__file__).read_text()):
        assert found.encode(text, add_special=False) == inner.encode(text).ids
        assert found.decode(found.encode(text, add_special=False)) == text


def test_a_control_token_that_is_no_text_is_a_token_all_the_same(tmp_path: Path) -> None:
    texts = [bytes([byte]) for byte in range(256)] + [b"<|\xff|>", b"<|endoftext|>"]
    file = OldFile(
        "ggml", FAMILIES[1], 1, {"n_vocab": 258}, [(text, None) for text in texts], {}
    )  # fmt: skip
    found = tokenizer_of(file, tmp_path / "old.bin")
    assert found.vocab_size == 258
    assert found.encode("ab", add_special=False) == [97, 98]


def test_a_tokenizer_of_another_model_is_refused(old: Path) -> None:
    other = tokenizers.Tokenizer(models.WordLevel({str(n): n for n in range(1000)}, "0"))
    other.save(str(old.parent / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"tokenizer.json has 1000 tokens, old.bin 29\d"):
        open_ggml(old).tokenizer()


@pytest.mark.parametrize("kind", OLD)
def test_blocks_of_two_generations_differ_in_their_order_only(kind: int) -> None:
    """Q4's and Q5's first generation has neighbours in a byte, and the same bits above."""
    torch.manual_seed(kind)
    block = OLD[kind]
    raw = torch.randint(0, 60, (4 * block.size,), dtype=torch.uint8).numpy()
    first, second = (old_blocks(kind, raw, 2, 64, layout).decode() for layout in (1, 2))
    assert torch.equal(first, second) == (kind == 8)
    if kind in (2, 3):
        halves = second.view(2, 2, 2, 16)  # rows, blocks, half, place
        assert torch.equal(first.view(2, 2, 16, 2).transpose(2, 3), halves)


def changed(path: Path, at: int, number: int) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, at, number)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("at", "number", "message"),
    [
        (4, 9, r"ggjt version 9; 1, 2, 3 are known"),
        (20, 3, r"of none of the families llama, .* or a damaged one"),  # heads
        (8, 1 << 30, r"of none of the families"),  # the vocabulary
    ],
)
def test_a_damaged_header_is_refused(old: Path, at: int, number: int, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_ggml(changed(old, at, number))


def test_withdrawn_types_truncated_files_and_adapters_are_named(old: Path) -> None:
    whole = old.read_bytes()
    file = read_old(memoryview(whole), old)
    entry = whole.index(b"layers.1.attention.wv.weight") - 12
    with pytest.raises(CheckpointError, match=r"wv.weight' is Q4_2, which ggml withdrew"):
        open_ggml(changed(old, entry, 4))
    old.write_bytes(whole[:-5])
    with pytest.raises(CheckpointError, match=r"truncated: tensor '.*w3.weight' needs \d+ bytes"):
        open_ggml(old)
    old.write_bytes(b"algg" + whole[4:])
    with pytest.raises(CheckpointError, match=r"GGLA adapter, .* --lora NAME=FILE"):
        open_ggml(old)
    assert file.layout == 3


def test_files_of_whisper_cpp_are_named(old: Path) -> None:
    header = (51865, 1500, 512, 8, 6, 448, 512, 8, 6, 80, 1)
    old.write_bytes(b"lmgg" + struct.pack("<11i", *header) + bytes(1000))
    with pytest.raises(CheckpointError, match=r"is a file of whisper.cpp.* openai/whisper-base"):
        open_ggml(old)


def test_a_gguf_file_is_made(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.gguf"
    assert main(["quantize", str(old), str(new), "--to", "q8_0"]) == 0
    assert "q8_0" in capsys.readouterr().out
    logits, ids = [], []
    for path in (old, new):
        with LLM(path, dtype="f32", activations="f32", threads=1) as llm:
            logits.append(torch.as_tensor(llm.logits([1, 270, 261, 9, 280]))[-1])
            ids.append(llm.tokenize("the and 12\n"))
    assert ids[0] == ids[1]
    # a code of 8 bits is off by up to 1/254 of its block's largest weight
    assert float((logits[0] - logits[1]).norm() / logits[0].norm()) < 0.03


def test_inspect_shows_the_family(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(old), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["container"], told["architecture"].split()[0]) == ("ggjt", "llama")
