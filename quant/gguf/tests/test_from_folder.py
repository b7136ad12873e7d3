"""Folders as GGUF files: vocabularies, templates, and what is said of them."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import tokenizers
import torch
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tramontane.errors import CheckpointError
from tramontane.tokenizer.files import from_folder
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_quant_gguf.from_folder.convert import TEXTS
from tramontane_quant_gguf.from_folder.families import CALLED, FAMILIES
from tramontane_quant_gguf.from_folder.vocabulary import cut, keys_of
from tramontane_quant_gguf.header import read_header
from tramontane_quant_gguf.pretokenizers import PRE
from tramontane_quant_gguf.vocabulary import read_tokenizer
from tramontane_quant_gguf.writer import Written, gguf_bytes

SAME = {"ufakzeka", "bailingmoe", "bailingmoe2", "llada-moe"}
"""Other patterns than Qwen2's, which cut no text in another way."""


def test_every_way_of_cutting_shows_on_the_probe() -> None:
    patterns: dict[tuple[tuple[int, int], ...], set[tuple[str, ...]]] = {}
    for name, pre in PRE.items():
        if not pre.raw and name not in SAME:
            patterns.setdefault(tuple(cut(pre.pre_tokenizer())), set()).add(pre.patterns)
    assert [found for found in patterns.values() if len(found) > 1] == []
    assert len(patterns) == 26


def test_families_are_those_of_llama_cpp() -> None:
    known = set(gguf.MODEL_ARCH_NAMES.values())
    assert set(FAMILIES) <= known
    assert set(CALLED.values()) <= set(FAMILIES)


def reread(keys: dict[str, Any]) -> Tokenizer:
    """A tokenizer from a file with these metadata."""
    nothing = Written("token_embd.weight", 0, (1,), bytes(4))
    whole = {"general.architecture": "llama", **keys}
    header = read_header(memoryview(b"".join(gguf_bytes(whole, [nothing]))), Path("x.gguf"))
    return read_tokenizer(header.metadata, Path("x.gguf"))


def packed(path: str) -> Callable[[Path, Path], None]:
    def put(data: Path, folder: Path) -> None:
        file = data / "tokenizers" / path
        opened = {".gz": gzip.open, ".xz": lzma.open}.get(file.suffix, open)
        with opened(file, "rb") as stream:  # type: ignore[operator]
            (folder / "tokenizer.json").write_bytes(stream.read())

    return put


def pieces(path: str) -> Callable[[Path, Path], None]:
    def put(data: Path, folder: Path) -> None:
        shutil.copy(data / "tokenizers" / "mistral" / path, folder / "tokenizer.model")

    return put


def qwen2(data: Path, folder: Path) -> None:
    for name in ("merges.txt", "vocab.json", "tokenizer_config.json"):
        shutil.copy(data / "tokenizers" / "qwen2" / name, folder / name)


@pytest.mark.parametrize(
    ("put", "pre"),
    [
        (qwen2, "qwen2"),
        (packed("phi/phi-2-tokenizer.json"), "gpt-2"),
        (packed("phi/phi-3-mini-tokenizer.json"), None),
        (packed("deepseek/deepseek-v3-tokenizer.json.gz"), "deepseek-v3"),
        (packed("mistral/mistral-ministral3-tekken-tokenizer.json.xz"), "tekken"),
        (pieces("tokenizer.model.v1"), None),
    ],
)
def test_real_tokenizers(
    put: Callable[[Path, Path], None], pre: str | None, data: Path, tmp_path: Path
) -> None:
    put(data, tmp_path)
    given = from_folder(tmp_path)
    size = max(given.inner.get_vocab(True).values()) + 1
    keys = keys_of(given, size + 3, "x")
    assert keys.get("tokenizer.ggml.pre") == pre
    assert keys["tokenizer.ggml.token_type"][-3:] == [5, 5, 5]  # type: ignore[index]
    made = reread(keys)
    cases = (data / "tokenizers" / "llama.cpp" / "ggml-vocab-qwen2.gguf.inp").read_text("utf-8")
    for text in [*TEXTS, *cases.split("\n__ggml_vocab_test__\n")]:
        assert made.encode(text) == given.encode(text), text


def bytes_of(step: Any) -> tokenizers.Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate([*letters, "ab"])}
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b")]))
    inner.pre_tokenizer, inner.decoder = step, decoders.ByteLevel()  # type: ignore[assignment]
    return inner


def test_roles_and_kinds_of_tokens() -> None:
    inner = bytes_of(pre_tokenizers.ByteLevel(add_prefix_space=False))
    inner.add_special_tokens([AddedToken(text, special=True) for text in ("<s>", "<e>", "<t>")])
    inner.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    named = {"bos_token": "<s>", "eos_token": "<e>", "pad_token": "<e>"}
    given = Tokenizer(inner, bos_id=257, eos_ids=(258, 259), add_bos=True, named=named)
    keys = {key.removeprefix("tokenizer.ggml."): v for key, v in keys_of(given, 264, "x").items()}
    assert keys["tokens"][255:] == [  # type: ignore[index]
        inner.id_to_token(255), "ab", "<s>", "<e>", "<t>", "<think>", "[PAD261]", "[PAD262]",
        "[PAD263]",
    ]  # fmt: skip
    assert keys["token_type"][255:] == [1, 1, 3, 3, 3, 4, 5, 5, 5]  # type: ignore[index]
    told = {key: value for key, value in keys.items() if "token_id" in key or key.startswith("add")}
    assert told == {
        "bos_token_id": 257, "eos_token_id": 258, "eot_token_id": 259, "padding_token_id": 258,
        "add_bos_token": True, "add_eos_token": False,
    }  # fmt: skip
    assert (keys["pre"], keys["merges"]) == ("gpt-2", ["a b"])


@pytest.mark.parametrize(
    ("inner", "why"),
    [
        (bytes_of(pre_tokenizers.ByteLevel(add_prefix_space=True)), "a space before texts"),
        (
            bytes_of(
                pre_tokenizers.Sequence(
                    [
                        pre_tokenizers.Split("z", "isolated"),
                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                    ]
                )
            ),
            "llama.cpp has no name for",
        ),
        (tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")), "WordPiece"),
    ],
)
def test_a_tokenizer_that_a_file_cannot_hold_is_refused(
    inner: tokenizers.Tokenizer, why: str
) -> None:
    with pytest.raises(CheckpointError, match=why):
        keys_of(Tokenizer(inner), 300, "x")


def test_a_tokenizer_of_another_model_is_refused() -> None:
    inner = bytes_of(pre_tokenizers.ByteLevel(add_prefix_space=False))
    with pytest.raises(CheckpointError, match="has 257 tokens, and its embedding 200 rows"):
        keys_of(Tokenizer(inner), 200, "x")


def test_unigrams() -> None:
    listed = [("<unk>", 0.0), ("\u2581", -2.0), ("a", -1.0), ("b", -1.5), ("\u2581ab", -0.5)]
    listed += [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    inner = tokenizers.Tokenizer(models.Unigram(listed, unk_id=0, byte_fallback=True))
    inner.normalizer = normalizers.Sequence(  # type: ignore[assignment]
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    keys = keys_of(Tokenizer(inner), 261, "x")
    assert keys["tokenizer.ggml.model"] == "t5"
    made = reread(keys)
    for text in ("ab", "a b ab"):
        assert made.encode(text, add_special=False) == inner.encode(text).ids


def test_a_folder_has_its_template_and_settings_in_the_file(tmp_path: Path) -> None:
    from tramontane.checkpoint.build import build_for
    from tramontane.checkpoint.open import open_checkpoint
    from tramontane.quantizing.choices import Asked
    from tramontane.quantizing.convert import convert
    from tramontane.registry import Registry
    from transformers import AutoModelForCausalLM, LlamaConfig

    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    config = LlamaConfig(vocab_size=257, num_attention_heads=2, **sizes)
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "tiny")
    folder = tmp_path / "tiny"
    bytes_of(pre_tokenizers.ByteLevel(add_prefix_space=False)).save(str(folder / "tokenizer.json"))
    templates = [
        {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}
    ]  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.25, "top_k": 7}))
    registry = Registry()
    checkpoint = open_checkpoint(folder, registry)
    convert(
        build_for(checkpoint, registry), registry, Asked("q8_0"), tmp_path / "x.gguf",
        folder=folder, importance={}, force=False, progress=lambda *_: None,
    )  # fmt: skip
    made = open_checkpoint(tmp_path / "x.gguf", registry)
    assert made.header.metadata["general.name"] == "tiny"
    assert (made.chat_template(), made.tool_template()) == ("plain", "tools")  # type: ignore[attr-defined]
    assert made.generation_defaults() == {"temperature": 0.25, "top_k": 7}
