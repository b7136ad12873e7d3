"""Layers against arithmetic symbol by symbol, and whole models with their weights decoded."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, NotEnoughMemory
from tramontane.layouts import nbytes
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole
from tramontane_quant_exl3.layers import hadamard, memory, translate
from tramontane_quant_exl3.plain import decode
from tramontane_quant_exl3.sample import layer
from tramontane_quant_exl3.trellis import decoded, numbers_of, places

TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
CODEBOOKS = ("3inst", "mcg", "mul1")


@pytest.mark.parametrize("codebook", CODEBOOKS)
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_is_the_plain_trellis(bits: int, codebook: str) -> None:
    torch.manual_seed(bits)
    tensors = layer(128, 128, bits, codebook, torch.float32)
    found = translate(tensors, {}, "p", (128, 128))
    assert found is not None
    plain = decode(tensors, {})
    assert found.kind == "float32"
    assert (found.decode() - plain).abs().max() <= 1e-6 * plain.abs().max()


GPTQMODEL = {"3inst": "73c38f245db270ab", "mcg": "09ff39c84381cc0e", "mul1": "feb965e77ba86e18"}
"""Digests of the tiles that gptqmodel 7.7.0's torch decoder makes of `words`, in float32."""


def words(bits: int) -> Tensor:
    """(8, 8, 16 * bits) int16, the same everywhere."""
    numbers = torch.arange(64 * 16 * bits)
    return ((numbers * 40503 + 12345) % 65536 - 32768).to(torch.int16).view(8, 8, -1)


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_tiles_are_those_of_gptqmodel(codebook: str) -> None:
    tiles = b"".join(decoded(words(bits), codebook).numpy().tobytes() for bits in range(1, 9))
    assert hashlib.sha256(tiles).hexdigest()[:16] == GPTQMODEL[codebook]


def test_the_parts_are_what_they_are_called() -> None:
    assert torch.allclose(hadamard() @ hadamard(), torch.eye(128), atol=1e-6)
    assert places().sort().values.tolist() == list(range(256))
    for codebook in CODEBOOKS:
        numbers = numbers_of(codebook)
        assert numbers.shape == (65536,)
        assert numbers.isfinite().all()
        assert abs(float(numbers.mean())) < 0.01


def test_several_blocks_are_each_turned_alone() -> None:
    torch.manual_seed(0)
    tensors = layer(640, 256, 2, "mcg", torch.float32)
    found = translate(dict(tensors), {}, "p", (640, 256))
    assert found is not None
    plain = decode(tensors, {})
    assert (found.decode() - plain).abs().max() <= 1e-6 * plain.abs().max()


def test_old_layers_have_signs() -> None:
    torch.manual_seed(0)
    tensors = layer(128, 128, 2, "3inst", torch.float16)
    signs = torch.randint(0, 2, (2, 128))
    packed = (signs.view(2, 8, 16) << torch.arange(16)).sum(-1)
    packed = torch.where(packed > 32767, packed - 65536, packed).to(torch.int16)
    old = {"trellis": tensors["trellis"], "su": packed[0], "sv": packed[1]}
    new = tensors | {name: (1 - 2 * signs[i]).half() for i, name in enumerate(("suh", "svh"))}
    one, other = translate(old, {}), translate(new, {})
    assert one is not None
    assert other is not None
    assert one.kind == "float16"
    assert torch.equal(one.data, other.data)


def test_the_plan_counts_what_is_decoded() -> None:
    tensors = layer(128, 256, 3, "mcg", torch.float16)
    infos = {
        name: TensorInfo(tuple(t.shape), str(t.dtype), t.nbytes) for name, t in tensors.items()
    }
    found = translate(dict(tensors), {})
    assert found is not None
    assert memory(infos, {}, (128, 256)) == nbytes(found) == 128 * 256 * 2


GOOD = layer(128, 128, 3, "mcg", torch.float16)
STORAGE = {"p": {"stored_tensors": {"p.trellis": {}, "p.mul1": {}}}}
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no trellis": ({"trellis": None}, {}, "p: trellis missing"),
    "no scales": ({"suh": None}, {}, "p: suh missing"),
    "type": ({"trellis": torch.ones(8, 8, 48)}, {}, "trellis must be int16 (tiles, tiles, words)"),
    "words": ({"trellis": GOOD["trellis"][..., :40]}, {}, "tiles of 40 words are not 1 to 8 bits"),
    "tiles": ({"trellis": GOOD["trellis"][:4]}, {}, "(128, 64) is no multiple of 128 both ways"),
    "scales": ({"svh": torch.ones(64)}, {}, "svh must be floats (128,), not float32 (64,)"),
    "signs": ({"svh": None, "sv": torch.ones(8)}, {}, "sv must be int16 (8,), not float32 (8,)"),
    "two": ({"mul1": torch.tensor(1)}, {}, "it names two codebooks, mcg and mul1"),
    "multiplier": ({"mcg": torch.tensor(5)}, {}, "mcg is [5]; only the multiplier 0xcbac1fed"),
    "codebook": ({"mcg": None}, {"codebook": "mcg"}, "mcg missing, which the quantization names"),
    "storage": ({}, {"tensor_storage": STORAGE}, "mul1 missing, which the quantization names"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str) -> None:
    changes, config, said = WRONG[case]
    tensors = {name: each for name, each in {**GOOD, **changes}.items() if each is not None}
    with pytest.raises(CheckpointError, match=re.escape(said)):
        translate(tensors, config, "p", (128, 128))


def test_another_size_is_refused_and_dense_layers_are_left() -> None:
    with pytest.raises(CheckpointError, match=r"p: it is \(128, 128\), the model wants \(64, 128"):
        translate(dict(GOOD), {}, "p", (64, 128))
    assert translate({"weight": torch.ones(2, 2), "x": torch.ones(1)}, {}) is None


@pytest.mark.parametrize("family", ["Llama"])
def test_logits_are_those_of_the_decoded_weights(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=256, hidden_size=128, intermediate_size=256, num_hidden_layers=2, head_dim=64,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model = getattr(transformers, f"{family}ForCausalLM")
    model(config).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    packed, decoded_too = {}, {}
    for count, (name, tensor) in enumerate(sorted(load_file(weights).items())):
        packed[name] = decoded_too[name] = tensor
        if tensor.ndim != 2 or "embed_tokens" in name:
            continue
        rows, columns = tensor.shape
        made = layer(rows, columns, 1 + count % 8, CODEBOOKS[count % 3], torch.float16)
        del packed[name]
        stem = name.removesuffix("weight")
        packed |= {f"{stem}{part}": each for part, each in made.items()}
        found = translate(made, {})
        assert found is not None
        decoded_too[name] = found.decode()
    save_file(decoded_too, weights, {"format": "pt"})
    with torch.inference_mode():
        expected = model.from_pretrained(tmp_path).float().eval()(torch.tensor([TOKENS])).logits[0]
    save_file(packed, weights)
    said = json.loads((tmp_path / "config.json").read_text())
    said["quantization_config"] = {"quant_method": "exl3", "bits": 4.5, "head_bits": 6}
    (tmp_path / "config.json").write_text(json.dumps(said))
    for device in ("reference", "cpu"):
        registry = Registry()
        options = LoadOptions(device=device, dtype="f32", activations="f32")
        ours = load_model(open_checkpoint(tmp_path, registry), registry, options)
        with torch.inference_mode():
            found_too = whole(ours.model, TOKENS).float()
        assert (found_too - expected).abs().max() < 1e-4 * expected.abs().max(), device
    checkpoint = open_checkpoint(tmp_path, Registry())
    with pytest.raises(NotEnoughMemory):
        load_model(checkpoint, Registry(), LoadOptions(device="reference", num_ctx=1 << 40))
