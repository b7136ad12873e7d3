"""The GGUF file that the kit's tool makes of a folder is read, by the keys and names in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.compare import NoReference, logits_apart, saved_reference
from tramontane.testing.gguf_file import write_gguf
from tramontane.testing.gguf_names import llama_cpp_name

pytest.importorskip("gguf")
pytest.importorskip("transformers")


def test_a_folder_becomes_a_file_that_computes_the_same(tmp_path: Path) -> None:
    offer = Registry().get(Architecture, "LlamaForCausalLM")
    _, expected = saved_reference(offer, "transformers", {}, tmp_path)
    tool = [sys.executable, "-m", "tramontane.testing.gguf_file", str(tmp_path)]
    subprocess.run([*tool, str(tmp_path / "a.gguf"), "--permute"], check=True, timeout=120)
    assert logits_apart(offer, tmp_path / "a.gguf", "reference", expected).max() < 1e-5
    plain = write_gguf(tmp_path, tmp_path / "b.gguf", offer)
    apart = logits_apart(offer, plain, "reference", expected)
    assert apart[0] < 1e-5 < apart[1:].min()  # another rotation, which position 0 does not have


def test_an_alias_that_llama_cpp_does_not_have_is_named() -> None:
    offer = Architecture(name="Olmo2ForCausalLM", aliases=("olmo-2",), config="", model="")
    with pytest.raises(NoReference, match="did you mean 'olmo2'"):
        llama_cpp_name(offer)
