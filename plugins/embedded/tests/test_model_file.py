"""The shipped file: small, readable, and with a template that renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import jinja2
import pytest

FILE = Path(__file__).parents[1] / "src" / "tramontane_plugin_embedded" / "model.gguf"


@pytest.fixture(scope="module")
def reader() -> Any:
    return gguf.GGUFReader(FILE)


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 8_000_000


def test_it_says_what_it_is(reader: Any) -> None:
    said = {name: field.contents() for name, field in reader.fields.items() if "." in name}
    assert said["general.name"] == "Tramontane embedded"
    assert said["general.license"] == "MIT"
    assert said["llama.context_length"] == 512
    assert said["tokenizer.ggml.add_bos_token"] is False
    tokens = said["tokenizer.ggml.tokens"]
    assert len(tokens) == said["llama.vocab_size"] == len(said["tokenizer.ggml.token_type"])
    assert tokens[said["tokenizer.ggml.eos_token_id"]] == "<|im_end|>"
    assert tokens[said["tokenizer.ggml.bos_token_id"]] == "<|endoftext|>"


def test_matrices_are_q8_0_and_the_head_is_tied(reader: Any) -> None:
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert "output.weight" not in kinds
    assert set(kinds.values()) == {"Q8_0", "F32"}
    assert all((kind == "F32") == name.endswith("norm.weight") for name, kind in kinds.items())


def test_the_chat_template_renders(reader: Any) -> None:
    source = reader.fields["tokenizer.chat_template"].contents()
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ]
    text = jinja2.Template(source).render(messages=messages, add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
