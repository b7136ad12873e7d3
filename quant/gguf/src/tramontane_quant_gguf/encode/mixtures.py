"""Which tensor gets which type in a mixture such as Q4_K_M.

Most tensors have the type of the name; those that lose most by it have more bits: the output,
values of attention, and what ends an MLP, the latter two in an eighth of the layers at each end and
every third between. Source: llama.cpp's llama_tensor_get_type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tramontane_quant_gguf.formats.table import FORMATS

from .encode import ENCODERS, TYPES

MIXTURES: dict[str, str] = {
    "q2_k": "q2_k", "q3_k_s": "q3_k", "q3_k_m": "q3_k", "q3_k_l": "q3_k", "q4_k_s": "q4_k",
    "q4_k_m": "q4_k", "q5_k_s": "q5_k", "q5_k_m": "q5_k", "iq4_nl": "iq4_nl", "iq4_xs": "iq4_xs",
}  # fmt: skip
"""The type of most tensors."""
PLAIN_KINDS = ("f32", "f16", "bf16")
"""Kinds of floats; norms, biases and routers are in float32 beside any of them."""
FILE_TYPES = {
    "f32": 0, "f16": 1, "bf16": 32,
    "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q2_k": 10, "q3_k_s": 11, "q3_k": 12,
    "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14, "q4_k": 15, "q4_k_m": 15, "q5_k_s": 16, "q5_k": 17,
    "q5_k_m": 17, "q6_k": 18, "iq4_nl": 25, "iq4_xs": 30,
}  # fmt: skip
"""`general.file_type`."""
SMALLER_BLOCKS = {
    "q2_k": "q4_0", "q3_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0",
    "iq4_xs": "iq4_nl",
}  # fmt: skip
"""For rows that are no multiple of 256."""


@dataclass(frozen=True)
class Model:
    """What the choice depends on. tensors: names and shapes, rows first. heads_per_kv: query heads
    for each head of keys and values. experts: 0 without."""

    tensors: Mapping[str, tuple[int, ...]]
    heads_per_kv: int
    experts: int

    @property
    def output(self) -> str:
        """The output matrix, which may be the embedding."""
        return "output.weight" if "output.weight" in self.tensors else "token_embd.weight"

    def among(self, name: str) -> tuple[int, int]:
        """Which of the tensors of its kind a layer's is, and how many there are."""
        kind = name.split(".", 2)[-1]
        layers = sorted(_layer(each) for each in self.tensors if each.split(".", 2)[-1] == kind)
        return layers.index(_layer(name)), len(layers)


def types_of(mixture: str, model: Model) -> dict[str, str]:
    """The type of every tensor that is quantized. Raises ValueError for an unknown mixture."""
    if mixture in PLAIN_KINDS:
        return {name: mixture for name, shape in model.tensors.items() if is_quantized(name, shape)}
    if mixture not in MIXTURES and mixture not in ENCODERS:
        known = dict.fromkeys([*MIXTURES, *ENCODERS, *PLAIN_KINDS])
        raise ValueError(f"{mixture!r} is none of {', '.join(known)}")
    return {
        name: fitting(_type_of(mixture, name, model), shape[-1])
        for name, shape in model.tensors.items()
        if is_quantized(name, shape)
    }


def is_quantized(name: str, shape: Iterable[int]) -> bool:
    """Whether a tensor is a matrix that may be quantized, and no router."""
    stem = name.removesuffix(".weight")
    small = (
        "_norm", "ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d", "shortconv.conv",
        "per_layer_model_proj",
    )  # fmt: skip
    return len(tuple(shape)) > 1 and name.endswith(".weight") and not stem.endswith(small)


def fitting(kind: str, columns: int) -> str:
    """The type itself, or one for rows that are no multiple of its block; f16 where none is."""
    if columns % FORMATS[TYPES[kind]][1] == 0:
        return kind
    return SMALLER_BLOCKS.get(kind, kind) if columns % 32 == 0 else "f16"


def _type_of(mixture: str, name: str, model: Model) -> str:
    usual = MIXTURES.get(mixture, mixture)
    kind = name.rsplit(".", 2)[-2]
    if name == model.output:
        return usual if usual in ("q8_0", "q6_k") else "q6_k"
    if kind == "attn_v":
        return _values(mixture, usual, name, model)
    if kind == "attn_k" and model.experts == 8:
        return "q8_0"
    if kind.startswith("ffn_down"):
        return _downs(mixture, usual, name, model)
    if kind == "attn_output":
        more = {"q2_k": "q3_k", "q3_k_m": "q4_k", "q3_k_l": "q5_k"}
        few = ("q2_k", "q3_k_s", "q3_k_m", "q4_k_s", "q4_k_m", "iq4_nl", "iq4_xs")
        return "q5_k" if model.experts == 8 and mixture in few else more.get(mixture, usual)
    if kind == "attn_qkv":
        more = {"q3_k_m": "q4_k", "q3_k_l": "q4_k", "q4_k_m": "q5_k", "q5_k_m": "q6_k"}
        return more.get(mixture, usual)
    return usual


def _values(mixture: str, usual: str, name: str, model: Model) -> str:
    if model.experts == 8:
        return "q8_0"
    index, count = model.among(name)
    if mixture == "q2_k":
        return "q4_k" if model.heads_per_kv >= 4 else "q3_k"
    if mixture == "q3_k_m":
        return "q5_k" if index < 2 else "q4_k"
    if mixture == "q3_k_l":
        return "q5_k"
    if mixture in ("iq4_nl", "iq4_xs") and model.heads_per_kv >= 4:
        return "q5_k"
    if mixture in ("q4_k_m", "q5_k_m") and _more_bits(index, count):
        return "q6_k"
    return "q5_k" if mixture == "q4_k_s" and index < 4 else usual


def _downs(mixture: str, usual: str, name: str, model: Model) -> str:
    index, count = model.among(name)
    if mixture == "q2_k":
        return "q3_k"
    if mixture == "q3_k_m":
        return "q5_k" if index < count // 16 else "q4_k"
    if mixture == "q3_k_l":
        return "q5_k"
    if mixture in ("q4_k_m", "q5_k_m") and _more_bits(index, count):
        return "q6_k"
    if mixture in ("iq4_nl", "iq4_xs") and index < count // 8:
        return "q5_k"
    return "q5_k" if mixture == "q4_k_s" and index < count // 8 else usual


def _more_bits(index: int, count: int) -> bool:
    return index < count // 8 or index >= 7 * count // 8 or (index - count // 8) % 3 == 2


def _layer(name: str) -> int:
    parts = name.split(".")
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else -1
