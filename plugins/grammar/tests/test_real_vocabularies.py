"""Real vocabularies, where they are at hand: what is drawn at random is right to the byte."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.registry import Registry
from tramontane.sampling import Candidates, Forces, History, SamplerContext
from tramontane.tokenizer import Detokenizer, Tokenizer, from_folder
from tramontane_plugin_grammar.step import build

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
FILES = {
    "llama 2": "tokenizers/llama.cpp/ggml-vocab-llama-spm.gguf",
    "phi 3": "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf",
    "mistral 7b v0.3": "tokenizers/mistral/mistral_instruct_tokenizer_240323.model.v3",
    "stories": "weights/stories260K/stories260K.gguf",
    "gpt-2": "tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf",
}
BERT = "tokenizers/llama.cpp/ggml-vocab-bert-bge.gguf"
SMALL = "weights/TinyStories-656K/fp32"
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Oslo", "Rome"]},
        "n": {"type": "integer", "minimum": 0, "maximum": 99},
        "words": {"type": "string", "maxLength": 8},
        "fixed": {"const": {"a b": [" x", {"\u00e9": 1.5}]}},
    },
    "required": ["city", "n", "words", "fixed"],
    "additionalProperties": False,
}
TEXTS = ["Hello there", "  two\n\n\tthree  ", "\u65e5\u672c\u8a9e\u00e9\U0001f600", " yes"]
Holds = Callable[[str], bool]
GRAMMARS: list[tuple[dict[str, Any], Holds]] = [
    *(({"type": "regex", "value": text}, text.__eq__) for text in TEXTS),
    ({"type": "regex", "value": "( |x)b"}, lambda text: text in (" b", "xb")),
    ({"type": "json_schema", "value": SCHEMA},
     lambda text: jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(text))),
    ({"type": "lark", "value": 'start: "<tool_call>" "\\n" /[{]"n": [0-9]}/ "</s>"'},
     lambda text: text.startswith('<tool_call>\n{"n": ') and text.endswith("}</s>")),
]  # fmt: skip


@cache
def tokenizer(file: str, folder: Path) -> Tokenizer:
    path = DATA / file
    if not path.exists():
        pytest.skip(f"{path} is not here")
    if ".model" in path.name:
        shutil.copy(path, folder / "tokenizer.model")
        return from_folder(folder)
    return open_checkpoint(path, Registry()).tokenizer()


def context(of: Tokenizer) -> SamplerContext:
    return SamplerContext(
        vocab_size=max(of.inner.get_vocab(True).values()) + 1,
        seed=1,
        context_length=4096,
        eos_ids=of.eos_ids or frozenset({0}),
        encode=lambda text: of.encode(text, add_special=False),
        decode=lambda ids: of.decode(ids, skip_special=False),
        token_bytes=of.token_bytes,
        special_ids=of.special_ids,
        leading_spaces=of.spelling.leading,
    )


def written(of: Tokenizer, shared: SamplerContext, grammar: dict[str, Any], seed: int) -> str:
    """What is drawn at random under a grammar, forced tokens as they come."""
    step = build({"grammar": Grammar(**grammar)}, shared)
    assert isinstance(step, Forces)
    rng, output, text = random.Random(seed), list[int](), Detokenizer(of, skip_special=False)
    logits = np.zeros(shared.vocab_size, np.float32)
    said = ""
    while len(output) < 400:
        row = list(step.forced(History([], output)))
        allowed = step(Candidates.of(logits), History([], output)).ids.tolist()  # type: ignore[operator]
        assert not row or allowed == row[:1]
        token = row[0] if row else rng.choice(allowed)
        if token in shared.eos_ids:
            return said + text.finish()
        output.append(token)
        said += text.add(token)
    pytest.fail(f"no end: {said}")


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_what_was_asked_for(name: str, tmp_path: Path) -> None:
    of = tokenizer(FILES[name], tmp_path)
    shared = context(of)
    for grammar, holds in GRAMMARS:
        for seed in range(2):
            text = written(of, shared, grammar, seed)
            assert holds(text), (grammar, text)


@pytest.mark.parametrize(
    ("file", "grammar", "missing"),
    [
        (SMALL, {"type": "json_object"}, "'{'"),
        (SMALL, {"type": "regex", "value": "Once\tupon"}, r"'\\t'"),
        (SMALL, {"type": "json_schema", "value": {"enum": ["\u65e5"]}}, "'\u65e5'"),
        (BERT, {"type": "json_schema", "value": {"const": "Oslo"}}, "'O',"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(
    file: str, grammar: dict[str, Any], missing: str, tmp_path: Path
) -> None:
    shared = context(tokenizer(file, tmp_path))
    with pytest.raises(RequestError, match=f"vocabulary cannot write {missing}"):
        build({"grammar": Grammar(**grammar)}, shared)
