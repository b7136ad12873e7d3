"""A family that the GGUF plugin does not know brings its own keys and tensor names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, ConfigError
from tramontane.layouts import Dense
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole

from .conftest import Cli, Install

EMA = Path(__file__).parent / "strangers" / "ema"
TOKENS = [3, 1, 4, 1, 5, 9, 2, 6]
HEADS = (4, 2)


@pytest.fixture(scope="module")
def installed(install: Install) -> Path:
    return install(EMA)


@pytest.fixture(autouse=True)
def visible(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))


def write(
    path: Path, heads: tuple[int, ...] = HEADS, arch: str = "ema", **changed: Any
) -> dict[str, torch.Tensor]:
    """A file as a converter would write it; returns its tensors by the model's paths."""
    torch.manual_seed(0)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(48)
    writer.add_context_length(64)
    writer.add_vocab_size(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(list(heads))
    writer.add_layer_norm_rms_eps(1e-5)
    values: dict[str, Any] = {"ema.decay": 0.75, "ema.layer_gains": [1.5, 0.5], **changed}
    for key, value in values.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif value is not None:
            writer.add_float32(key, value)
    made: dict[str, torch.Tensor] = {}

    def add(name: str, to: str, *shape: int) -> None:
        made[to] = torch.randn(shape) * 0.3 + (1 if len(shape) == 1 else 0)
        writer.add_tensor(f"{name}.weight", made[to].numpy())

    add("token_embd", "model.embed_tokens", 64, 32)
    add("output_norm", "model.norm", 32)
    add("output", "lm_head", 64, 32)
    for layer, kv in enumerate(heads[:2]):
        wide = 8 * max(kv, 1)
        here, there = f"blk.{layer}", f"model.layers.{layer}"
        add(f"{here}.ema_pre", f"{there}.norm", 32)
        add(f"{here}.ffn_norm", f"{there}.after", 32)
        for name, to, rows, columns in (
            ("attn_q", "self_attn.q_proj", 32, 32), ("attn_k", "self_attn.k_proj", wide, 32),
            ("attn_v", "self_attn.v_proj", wide, 32), ("attn_output", "self_attn.o_proj", 32, 32),
            ("ffn_gate", "mlp.gate_proj", 48, 32), ("ffn_up", "mlp.up_proj", 48, 32),
            ("ffn_down", "mlp.down_proj", 32, 48),
        ):  # fmt: skip
            add(f"{here}.{name}", f"{there}.{to}", rows, columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return made


def loaded(path: Path, device: str) -> Loaded:
    options = LoadOptions(device=device, dtype="f32", activations="f32")
    return load_model(open_checkpoint(path, Registry()), Registry(), options)


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_keys_names_and_values_of_layers_reach_the_model(device: str, tmp_path: Path) -> None:
    made = write(tmp_path / "m.gguf")
    ours = loaded(tmp_path / "m.gguf", device)
    config: Any = ours.config
    assert (config.num_key_value_heads, config.decay, config.gains) == (HEADS, 0.75, (1.5, 0.5))
    reference = loaded(tmp_path / "m.gguf", "reference").model
    for path, tensor in made.items():
        held: Any = reference.get_submodule(path).weight
        assert torch.equal(held.decode() if isinstance(held, Dense) else held, tensor), path
    with torch.inference_mode():
        expected = whole(reference, TOKENS)
        for found in (whole(ours.model, TOKENS), in_pieces(ours.model, TOKENS, [3, 1, 1, 3])):
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_header_has_the_raw_metadata(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", **{"ema.note": "text"})
    header = open_checkpoint(tmp_path / "m.gguf", Registry()).header
    assert header.metadata["ema.note"] == "text"
    assert list(header.metadata["ema.attention.head_count_kv"]) == [4, 2]
    assert header.config["num_key_value_heads"] == (4, 2)


def test_inspect_counts_the_heads_of_each_layer(run: Cli, tmp_path: Path) -> None:
    write(tmp_path / "m.gguf")
    status, out, err = run("inspect", tmp_path / "m.gguf")
    assert status == 0, err
    assert "ema" in out


def test_without_its_own_key_a_field_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", **{"ema.decay": None})
    with pytest.raises(ConfigError, match="decay is missing"):
        loaded(tmp_path / "m.gguf", "reference")


Wrong = tuple[Callable[[Path], object], type[Exception], str]
WRONG: dict[str, Wrong] = {
    "heads do not divide": (
        lambda path: write(path, (4, 3)), ConfigError,
        "num_attention_heads 4 is not a multiple of num_key_value_heads 3 in layer 1",
    ),
    "none": (
        lambda path: write(path, (4, 0)), ConfigError,
        "num_attention_heads 4 is not a multiple of num_key_value_heads 0 in layer 1",
    ),
    "too many": (
        lambda path: write(path, (4, 2, 1)), CheckpointError, "has 3 values ([4, 2, 1]) for 2",
    ),
    "a family with one number": (
        lambda path: write(path, arch="llama"), ConfigError,
        "num_key_value_heads=(4, 2) differs between layers, which this family does not support",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_named(case: str, tmp_path: Path) -> None:
    make, error, said = WRONG[case]
    make(tmp_path / "m.gguf")
    with pytest.raises(error) as caught:
        loaded(tmp_path / "m.gguf", "reference")
    assert said in str(caught.value)
