"""Scales of keys and values that checkpoints bring, for a cache of 8-bit floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.errors import CheckpointError
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole
from tramontane.testing.quantized_folder import write_pair

from .tiny_models import TOKENS, saved

FP8: dict[str, Any] = {"quant_method": "fp8", "weight_block_size": None}
LAYER = "model.layers.0.self_attn"
E4M3 = torch.float8_e4m3fn


def loaded(folder: Path, kv_type: str = "f8e4m3", device: str = "reference") -> Loaded:
    options = LoadOptions(device=device, dtype="f32", activations="f32", kv_type=kv_type)
    return load_model(open_checkpoint(folder, Registry()), Registry(), options)


def written(
    folder: Path,
    scales: dict[str, Tensor],
    factors: dict[str, float] | None = None,
    said: dict[str, Any] = FP8,
) -> Path:
    """A Llama with scales below its first layer's attention, and matrices multiplied."""
    folder.mkdir()
    config, tensors = saved("Llama", folder)
    for name, factor in (factors or {}).items():
        tensors[f"{LAYER}.{name}.weight"] *= factor
    tensors |= {f"{LAYER}.{name}": scale for name, scale in scales.items()}
    packed, _ = write_pair(folder, config, tensors, said, lambda name, tensor: None)
    return packed


def kept(model: Loaded, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Keys and values of the first layer, the floats that are stored."""
    cache = KVCache(model.model, 1, dtype, torch.device("cpu"), state_slots=1)
    blocks = cache.take(1)
    piece = (0, len(TOKENS), len(TOKENS), blocks, range(len(TOKENS)))
    with torch.inference_mode():
        model.model(torch.tensor(TOKENS), Batch.of([piece], cache, [0]))
    keys, values = cache.layers[0].gather(blocks, len(TOKENS))
    return keys.float(), values.float()


@pytest.mark.parametrize(
    ("scales", "of_keys", "of_values"),
    [
        ({"k_scale": 0.037, "v_scale": 0.0023}, 0.037, 0.0023),
        ({"k_proj.k_scale": 0.037, "v_proj.v_scale": 0.0023}, 0.037, 0.0023),
        ({"attn.k_scale": 0.037}, 0.037, 1.0),
        ({"kv_scale": 0.0041}, 0.0041, 0.0041),
        ({"k_scale": -1.0, "v_scale": 0.0023}, 1.0, 0.0023),
    ],
)
def test_what_is_kept_is_divided_by_the_scale(
    scales: dict[str, float], of_keys: float, of_values: float, tmp_path: Path
) -> None:
    folder = written(tmp_path / "a", {n: torch.tensor([s]) for n, s in scales.items()})
    keys, values = kept(loaded(folder, "f32"), torch.float32)
    found_keys, found_values = kept(loaded(folder), E4M3)

    def codes(numbers: Tensor, scale: float) -> Tensor:
        return (numbers / scale).clamp(-448, 448).to(E4M3).float()

    assert torch.equal(found_keys, codes(keys, of_keys))
    assert torch.equal(found_values, codes(values, of_values))


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_logits_are_those_of_the_scales_in_the_matrices(device: str, tmp_path: Path) -> None:
    """Powers of two move no rounding, so that both are the same model exactly."""
    scales = {"k_scale": torch.tensor(2.0**-4), "v_scale": torch.tensor(2.0**-6)}
    ours = loaded(written(tmp_path / "a", scales), device=device)
    factors = {"k_proj": 2.0**4, "q_proj": 2.0**-4, "v_proj": 2.0**6, "o_proj": 2.0**-6}
    theirs = loaded(written(tmp_path / "b", {}, factors), device=device)
    plain = loaded(written(tmp_path / "c", {}), device=device)
    with torch.inference_mode():
        found, expected, other = (
            whole(each.model, TOKENS, kv_dtype=E4M3) for each in (ours, theirs, plain)
        )
        stepped = in_pieces(ours.model, TOKENS, [5, 1, 1, 1], kv_dtype=E4M3)
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()
    assert (stepped - expected).abs().max() < 1e-5 * expected.abs().max()
    assert not torch.equal(found, other), "scales count"
    if device == "cpu":
        assert ours.report.kernels["step"] == "recorded"


def test_scales_of_whole_numbers_and_other_caches_are_not_used(tmp_path: Path) -> None:
    scales = {"k_scale": torch.tensor(0.5), "v_scale": torch.tensor(0.25)}
    folder = written(tmp_path / "a", scales)
    attention = loaded(folder, "f8e5m2").model.model.layers[0].self_attn
    assert attention.cache_scales == (1.0, 1.0)
    said = FP8 | {"kv_cache_scheme": {"num_bits": 8, "type": "int"}}
    attention = loaded(written(tmp_path / "b", scales, said=said)).model.model.layers[0].self_attn
    assert attention.cache_scales == (1.0, 1.0)


@pytest.mark.parametrize(
    ("scale", "why"),
    [(torch.ones(2), "k_scale has 2 numbers, .* another --kv-type, such as int8"),
     (torch.tensor(float("nan")), "k_scale is nan, which scales nothing")],
)  # fmt: skip
def test_scales_that_cannot_be_are_refused(scale: Tensor, why: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=why):
        loaded(written(tmp_path / "a", {"k_scale": scale}))
