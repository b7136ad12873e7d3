"""What checkpoints of RWKV-7 call their tensors: flash-linear-attention's folders, the names of its
makers' own files (blocks.N.att), and GGUF's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from tramontane.checkpoint.rules import Flatten, Kept, Rename, Rule, Skip, Transpose, renamed
from tramontane.layouts import Dense, Layout

from .config import ArwkvConfig

MIXED = ("x_r", "x_w", "x_k", "x_v", "x_a", "x_g")
VECTORS = (*MIXED, "k_k", "k_a", "r_k")
PROJECTIONS = {"receptance": "r_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}


@dataclass(frozen=True)
class Mixes(Kept):
    """Takes the mixes of all inputs apart, which lie below each other, the gate's last. pattern: a
    tensor's full name, of the layer whose number its `*` is."""

    pattern: str
    names: tuple[str, ...] = MIXED

    def paths(self, path: str) -> tuple[str, ...]:
        layer = renamed(path, self.pattern, "model.layers.*.attn")
        return tuple(f"{layer}.{name}" for name in self.names)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        name, rows = path.rpartition(".")[2], layout.decode().flatten(0, -2)
        if len(rows) != len(self.names):
            raise ValueError(f"it has mixes of {len(self.names)} inputs")
        return Dense(rows[self.names.index(name)])

    def backwards(
        self, shapes: dict[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        """The stored tensors, for the kit: see `tramontane.testing.backwards`."""
        before = {}
        for name, shape in shapes.items():
            layer, _, last = name.rpartition(".")
            if last in self.names and fnmatchcase(layer, "model.layers.*.attn"):
                name = renamed(layer, "model.layers.*.attn", self.pattern)
                shape = (len(self.names), *shape)
            before[name] = shape
        return before


@dataclass(frozen=True)
class Turned(Transpose):
    """Renames a matrix that is stored as (columns, rows)."""

    to: str = ""

    def paths(self, path: str) -> tuple[str, ...]:
        return (renamed(path, self.pattern, self.to),)


FLAT: list[Rule] = [
    *(Flatten(f"*.attn.{name}") for name in VECTORS),
    Flatten("*.ffn.x_k"),
    Flatten("*_lora.lora.2.bias"),
]
"""Vectors that some have with two dimensions more."""

OWN: list[Rule] = [
    Rename("emb", "model.embed_tokens"),
    Rename("head", "lm_head"),
    Rename("ln_out", "model.norm"),
    Rename("blocks.*", "model.layers.*"),
    Rename("*.ln0", "*.pre_norm"),
    Rename("*.ln1", "*.attn_norm"),
    Rename("*.ln2", "*.ffn_norm"),
    Rename("*.att", "*.attn"),
    Rename("*.att.*", "*.attn.*"),
    Rename("*.attn.ln_x", "*.attn.g_norm"),
    *(Rename(f"*.attn.{word}", f"*.attn.{ours}") for word, ours in PROJECTIONS.items()),
    Skip("model.layers.0.attn.v[012]"),
    *(
        rule
        for of in "wavg"
        for rule in (
            Rename(f"*.attn.{of}0", f"*.attn.{of}_lora.lora.2.bias"),
            Turned(f"*.attn.{of}1", to=f"*.attn.{of}_lora.lora.0.weight"),
            Turned(f"*.attn.{of}2", to=f"*.attn.{of}_lora.lora.2.weight"),
        )
    ),
]
HF: list[Rule] = [
    *OWN,
    Rename("model.embeddings", "model.embed_tokens"),
    Skip("model.layers.0.attn.v_lora.*"),
    Mixes("model.layers.*.attn.x_x"),
    *FLAT,
]

TIME_MIX: list[Rule] = [
    Skip("blk.0.time_mix_v[012]"),
    Rename("blk.*.time_mix_ln", "model.layers.*.attn.g_norm"),
    *(
        Rename(f"blk.*.time_mix_{word}", f"model.layers.*.attn.{ours}")
        for word, ours in PROJECTIONS.items()
    ),
    *(
        Rename(f"blk.*.time_mix_{name}.weight", f"model.layers.*.attn.{name}")
        for name in ("k_k", "k_a", "r_k")
    ),
    *(
        rule
        for of in "wavg"
        for rule in (
            Rename(f"blk.*.time_mix_{of}0.weight", f"model.layers.*.attn.{of}_lora.lora.2.bias"),
            Rename(f"blk.*.time_mix_{of}1", f"model.layers.*.attn.{of}_lora.lora.0"),
            Rename(f"blk.*.time_mix_{of}2", f"model.layers.*.attn.{of}_lora.lora.2"),
        )
    ),
]
GGUF: list[Rule] = [
    *TIME_MIX,
    Mixes("blk.*.time_mix_lerp_fused.weight"),
    Rename("token_embd_norm", "model.layers.0.pre_norm"),
    Rename("*.input_layernorm", "*.attn_norm"),
    Rename("blk.*.attn_norm_2", "model.layers.*.ffn_norm"),
    Rename("blk.*.channel_mix_lerp_k.weight", "model.layers.*.ffn.x_k"),
    Rename("blk.*.channel_mix_*", "model.layers.*.ffn.*"),
    *FLAT,
]
WEIGHTS: dict[str, list[Rule]] = {"hf": HF, "gguf": GGUF}


def arwkv_weights(cfg: ArwkvConfig) -> dict[str, list[Rule]]:
    mixed = MIXED if cfg.gate_low_rank_dim else MIXED[:-1]
    lerp = Mixes("blk.*.time_mix_lerp_fused.weight", mixed)
    return {"gguf": [*TIME_MIX, lerp, *FLAT]}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of time mixes. The norm's epsilon is one for all in llama.cpp."""
    name = config["model_type"]
    words = {
        "wkv.head_size": "head_dim",
        "attention.decay_lora_rank": "decay_low_rank_dim",
        "attention.iclr_lora_rank": "a_low_rank_dim",
        "attention.value_residual_mix_lora_rank": "v_low_rank_dim",
        "attention.gate_lora_rank": "gate_low_rank_dim",
    }
    found = {field: values.get(f"{name}.{key}") for key, field in words.items()}
    told = {field: value for field, value in found.items() if value is not None}
    size, hidden = told.get("head_dim"), config.get("hidden_size")
    if isinstance(size, int) and isinstance(hidden, int) and size > 0:
        told["num_attention_heads"] = hidden // size  # which the file has as 0
    return {"group_norm_eps": 64e-5} | told
