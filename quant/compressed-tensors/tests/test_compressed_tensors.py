"""compressed-tensors: what the library wrote, every bit width, groups of layers, bad input."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, Dense, Permuted
from tramontane.testing.quantized_folder import apart, load_folder, write_pair
from tramontane_quant_compressed_tensors.encode import encode, settings
from tramontane_quant_compressed_tensors.layers import translate
from tramontane_quant_compressed_tensors.names import below_layers
from tramontane_quant_compressed_tensors.words import unpack_words, width

from .tiny_models import TOKENS, saved

GOLDEN = Path(__file__).parents[3].parent / "shared/golden/quant/data/compressed-tensors"


@pytest.mark.parametrize("kind", ["NVFP4A16", "W3A16_G32", "W4A16_ASYM_G32"])
def test_what_the_library_wrote_is_read_bit_by_bit(kind: str) -> None:
    if not (folder := GOLDEN / kind).is_dir():
        pytest.skip(f"{folder} is not there")
    model = load_folder(folder).model
    for name, said in json.loads((folder / "expected.json").read_text())["weights"].items():
        layout: Any = model.get_submodule(name.removesuffix(".weight")).weight
        weight = layout.decode(getattr(torch, said["dtype"])).float() + 0.0
        assert hashlib.sha256(weight.numpy().tobytes()).hexdigest() == said["sha256"], name


def config(form: str = "pack-quantized", **weights: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "format": form}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


def words(codes: Tensor, bits: int, padded: bool = False) -> Tensor:
    """Codes (rows, columns) packed by Python's integers."""
    made = []
    for row in codes.tolist():
        each = 32 // bits if padded else len(row)
        wide = 1 if padded else width(len(row), bits, padded=False)
        for start in range(0, len(row), each):
            whole = sum(code << i * bits for i, code in enumerate(row[start : start + each]))
            made.append(torch.tensor(list(whole.to_bytes(4 * wide, "little")), dtype=torch.uint8))
    return torch.cat(made).view(torch.int32).view(len(codes), -1)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
def test_words_of_every_width(bits: int, padded: bool) -> None:
    for columns in (32, 64, 75, 15, 1):
        codes = torch.randint(0, 1 << bits, (3, columns))
        packed = words(codes, bits, padded)
        assert packed.shape[1] == width(columns, bits, padded=padded)
        assert torch.equal(unpack_words(packed, bits, columns, padded).long(), codes)


def layer(bits: int, rows: int, columns: int, groups: int) -> tuple[dict[str, Tensor], Tensor]:
    """An asymmetric layer of pack-quantized, and its numbers, in bfloat16."""
    codes = torch.randint(0, 1 << bits, (rows, columns))
    zeros = torch.randint(0, 1 << bits, (rows, groups))
    scale = torch.rand(rows, groups).bfloat16()
    tensors = {
        "weight_packed": words(codes, bits),
        "weight_scale": scale,
        "weight_zero_point": words(zeros.T, bits).T,
        "weight_shape": torch.tensor([rows, columns]),
    }
    each = columns // groups
    apart = codes - zeros.repeat_interleave(each, 1)
    return tensors, apart.bfloat16() * scale.repeat_interleave(each, 1)


@pytest.mark.parametrize("shape", [(24, 64, 2), (7, 96, 1), (5, 11, 1), (9, 15, 3)])
@pytest.mark.parametrize("bits", range(1, 9))
def test_integers_are_those_of_the_formula(bits: int, shape: tuple[int, int, int]) -> None:
    _, columns, groups = shape
    tensors, expected = layer(bits, *shape)
    size = columns // groups
    strategy = {"strategy": "group", "group_size": size} if groups > 1 else {"strategy": "channel"}
    said = config(num_bits=bits, type="int", symmetric=False, **strategy)
    layout = translate(tensors, said)
    assert layout is not None
    assert isinstance(layout, Dense) == (size < 8 or (columns % 8 != 0 and bits < 7))
    assert torch.equal(layout.decode(torch.bfloat16), expected)


def test_columns_in_another_order() -> None:
    tensors, expected = layer(4, 16, 64, 4)
    group_of = torch.arange(64).div(16, rounding_mode="floor")
    order = torch.randperm(64)
    said = config(num_bits=4, type="int", symmetric=False, strategy="group", group_size=16)
    codes = unpack_words(tensors["weight_packed"], 4, 64, False)[:, order]
    moved = {**tensors, "weight_packed": words(codes, 4), "weight_g_idx": group_of[order].int()}
    layout = translate(moved, said)
    assert isinstance(layout, Permuted)
    assert torch.equal(layout.decode(torch.bfloat16), expected[:, order])
    unset = {**tensors, "weight_g_idx": torch.full((64,), -1).int()}
    plain = translate(unset, said)
    assert plain is not None
    assert torch.equal(plain.decode(torch.bfloat16), expected)
    uneven = {**tensors, "weight_g_idx": torch.zeros(64).int()}
    assert isinstance(translate(uneven, said), Dense)


def test_eight_bits_of_integers_and_of_floats() -> None:
    codes, scale = torch.randint(-128, 128, (16, 32), dtype=torch.int8), torch.rand(16, 1)
    zero = torch.randint(-128, 128, (16, 1), dtype=torch.int8)
    for symmetric in (True, False):
        said = config(
            "int-quantized", num_bits=8, type="int", strategy="channel", symmetric=symmetric
        )
        held = {"weight": codes, "weight_scale": scale, "input_scale": torch.ones(1)}
        layout = translate(held if symmetric else held | {"weight_zero_point": zero}, said)
        apart = codes.float() if symmetric else codes.float() - zero.float()
        assert layout is not None
        assert torch.equal(layout.decode(), apart * scale)
    numbers, blocks = torch.randn(40, 80).to(torch.float8_e4m3fn), torch.rand(3, 3)
    said = config(
        "float-quantized", num_bits=8, type="float", strategy="block", block_structure=[16, 32]
    )
    each = blocks.repeat_interleave(16, 0)[:40].repeat_interleave(32, 1)[:, :80]
    layout = translate({"weight": numbers, "weight_scale": blocks}, said)
    assert isinstance(layout, Codebook)
    assert torch.equal(layout.decode(), numbers.float() * each)


def group(targets: list[str], bits: int, form: str = "pack-quantized") -> dict[str, Any]:
    weights = {"num_bits": bits, "type": "int", "strategy": "channel", "symmetric": False}
    return {"targets": targets, "weights": weights, "format": form}


def test_a_layer_has_the_group_that_names_it() -> None:
    groups = {
        "a": group(["Linear"], 8), "b": group(["re:.*self_attn.*"], 3),
        "c": group(["m.self_attn.q_proj"], 4), "d": group(["Embedding"], 2),
    }  # fmt: skip
    said = {"format": "mixed-precision", "config_groups": groups}
    paths = {"m.up_proj": 8, "m.self_attn.k_proj": 3, "m.self_attn.q_proj": 4, "m.embed_tokens": 2}
    for path, bits in paths.items():
        tensors, expected = layer(bits, 8, 32, 1)
        layout = translate(tensors, said, path)
        assert layout is not None
        assert torch.equal(layout.decode(torch.bfloat16), expected), path


def test_names_of_the_cache_are_left_out() -> None:
    for name in ("a.self_attn.k_scale", "a.v_scale", "a.k_proj.q_zero_point"):
        assert below_layers(name, {}) is None
    for name in ("a.k_proj.weight_scale", "a.mask_scale"):
        assert below_layers(name, {}) == name
    plain = {"weight": torch.ones(8, 8), "output_scale": torch.ones(1)}
    assert translate(plain, config(num_bits=4)) is None


T, _ = layer(4, 8, 32, 1)
OK = {"num_bits": 4, "type": "int", "strategy": "channel", "symmetric": False}
BROKEN: dict[str, tuple[dict[str, Tensor], dict[str, Any], str]] = {
    "missing": ({k: v for k, v in T.items() if k != "weight_scale"}, config(**OK),
                "'weight_scale' is missing, which pack-quantized needs"),
    "sparse": (T, config("marlin-24", **OK), "format 'marlin-24', for sparse weights"),
    "sparse beside": (T, config(**OK) | {"sparsity_config": {"format": "sparse-24-bitmask"}},
                      "sparsity_config with format 'sparse-24-bitmask'"),
    "format": (T, config("new", **OK), "format 'new' is not one of float-quantized"),
    "transform": (
        T, config(**OK) | {"transform_config": {"config_groups": {
            "R4": {"apply": [{"location": "input", "targets": ["Linear"]}]}}}},
        "the transform 'R4' changes activations (input)",
    ),
    "ignored": (T, config(**OK) | {"ignore": ["re:.*q_proj"]}, "`ignore` says that it is not"),
    "expression": (T, config(**OK) | {"ignore": ["re:("]}, "'re:(' is no regular expression"),
    "no groups": (T, {"config_groups": {}}, "config_groups={} must have groups"),
    "no targets": (T, {"config_groups": {"a": {}}}, "the group 'a' has no list of targets"),
    "bits": (T, config(**{**OK, "num_bits": 9}), "num_bits=9"),
    "strategy": (T, config(**{**OK, "strategy": "token"}), "strategy 'token'"),
    "group": (T, config(**{**OK, "strategy": "group"}), "needs a group_size, not None"),
    "scales": (T, config(**{**OK, "strategy": "group", "group_size": 16}),
               "scales of (8, 1) do not belong to weights of (8, 32) with strategy 'group' of 16"),
    "words": ({**T, "weight_packed": T["weight_packed"][:, :3]}, config(**OK),
              "3 words a row do not have 32 codes of 4 bits"),
    "shape": ({**T, "weight_shape": torch.tensor([9, 32])}, config(**OK),
              "weight_shape [9, 32] does not fit int32 (8, 4)"),
    "zeros": ({**T, "weight_zero_point": torch.zeros(3, 1).int()}, config(**OK),
              "weight_zero_point is int32 (3, 1), which has no zeros of 4 bits for 8 rows"),
    "order": ({**T, "weight_g_idx": torch.full((32,), 7).int()}, config(**OK),
              "names groups from 7 to 7, and there are 1"),
    "not compressed": ({"weight": torch.ones(8, 32), "weight_scale": torch.ones(8, 1)},
                       config("int-quantized", **OK), "with scales that it is not yet rounded to"),
    "no global scale": (
        {"weight_packed": torch.zeros(8, 16).byte(),
         "weight_scale": torch.ones(8, 2).to(torch.float8_e4m3fn),
         "weight_global_scale": torch.zeros(1)},
        config("nvfp4-pack-quantized", num_bits=4, type="float", strategy="tensor_group",
               group_size=16),
        "weight_global_scale must be one number other than 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    tensors, said, message = BROKEN[case]
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        translate(tensors, said, "m.q_proj")
    assert "m.q_proj" in str(caught.value)


KINDS = {"w4a16": 0.06, "w8a16": 0.006, "mxfp4": 0.11, "nvfp4": 0.1, "mxfp8": 0.03}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_encoded_is_near(kind: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(24, 256)
    weight[0] = 0
    layout = translate(encode(weight, kind), settings({"a.q": kind}), "a.q")
    assert layout is not None
    decoded = layout.decode()
    assert (decoded - weight).norm() < KINDS[kind] * 2 * weight.norm()
    assert not decoded[0].any()
    with pytest.raises(ValueError, match="infinite"):
        encode(weight / 0, kind)
    with pytest.raises(ValueError, match="columns do not make groups"):
        encode(weight[:, :250] if kind != "w8a16" else weight[:, :251], kind)


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("family", ["Llama", "Qwen3Moe"])
def test_logits_are_those_of_the_decoded_weights(family: str, device: str, tmp_path: Path) -> None:
    folder_config, tensors = saved(family, tmp_path)
    kinds: dict[str, str] = {}

    def quantized(name: str, tensor: Tensor) -> tuple[dict[str, Tensor], Tensor] | None:
        path = name.removesuffix(".weight")
        if not path.endswith("_proj"):
            return None
        kinds[path] = "mxfp4" if "mlp" in path else "nvfp4" if "o_proj" in path else "w8a16"
        made = encode(tensor, kinds[path])
        layout = translate(made, settings({path: kinds[path]}), path)
        assert layout is not None
        return {f"{path}.{part}": held for part, held in made.items()}, layout.decode()

    for name, tensor in tensors.items():
        quantized(name, tensor)
    packed, plain = write_pair(tmp_path, folder_config, tensors, settings(kinds), quantized)
    assert apart(packed, plain, TOKENS, device) < 1e-4
    assert "codebook4/g16/2-level" in load_folder(packed).report.layouts
