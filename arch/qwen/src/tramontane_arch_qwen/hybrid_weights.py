"""What checkpoints of Qwen3-Next and Qwen3.5 call their tensors, and how they order rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from tramontane.checkpoint.rules import (
    TEXT_PART,
    Kept,
    Rename,
    Rule,
    Shift,
    Skip,
    Split,
    owner,
    sibling,
)
from tramontane.checkpoint.state_rules import ssm_rules
from tramontane.layouts import Layout

from .experts import WEIGHTS as EXPERTS


@dataclass(frozen=True)
class PerKeyHead(Kept):
    """Takes fused rows apart that lie key head after key head. sections: for each module, which of
    a key head's sections of rows it has: 0 to 3, those of q, k, v and z; or 4 and 5, b and a."""

    pattern: str
    sections: tuple[tuple[str, tuple[int, ...]], ...]

    def paths(self, path: str) -> tuple[str, ...]:
        return tuple(sibling(path, name) for name, _ in self.sections)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        net: Any = owner(model, path)
        each = net.heads // net.key_heads
        wide = each * net.d_value
        sizes = (net.d_key, net.d_key, wide, wide, each, each)
        used = [index for _, wanted in self.sections for index in wanted]
        starts = dict(zip(used, accumulate((0, *(sizes[index] for index in used))), strict=False))
        whole = sum(sizes[index] for index in used)
        if layout.shape[0] != whole * net.key_heads:
            raise ValueError(f"{net.key_heads} key heads have {whole * net.key_heads} rows")
        heads = torch.arange(net.key_heads)[:, None] * whole
        wanted = dict(self.sections)[path.rpartition(".")[2]]
        rows = [(heads + starts[i] + torch.arange(sizes[i])).flatten() for i in wanted]
        return layout.rows(torch.cat(rows))


GATED = Split("*.self_attn.q_proj", ("q_proj", "gate_proj"), per="heads")
PER_HEAD = PerKeyHead("*.in_proj_ba", (("in_proj_b", (4,)), ("in_proj_a", (5,))))
CENTERED = ("*.input_layernorm", "*.post_attention_layernorm", "*.q_norm", "*.k_norm", "model.norm")
HF: list[Rule] = [
    Skip("mtp.*"),
    *TEXT_PART,
    *(Shift(pattern, 1.0) for pattern in CENTERED),
    GATED,
    PerKeyHead("*.in_proj_qkvz", (("in_proj_qkv", (0, 1, 2)), ("in_proj_z", (3,)))),
    PER_HEAD,
]
GGUF: list[Rule] = [
    Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
    Rename("*.self_attn.qkv_proj", "*.linear_attn.in_proj_qkv"),
    Rename("*.self_attn.gate_proj", "*.linear_attn.in_proj_z"),
    *ssm_rules("linear_attn"),
    GATED,
    PER_HEAD,
]
WEIGHTS: dict[str, list[Rule]] = {"hf": [*HF, *EXPERTS["hf"]], "gguf": [*GGUF, *EXPERTS["gguf"]]}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file calls the sizes of its layers with a state."""
    name = config["model_type"]
    heads, inner = (values.get(f"{name}.ssm.{key}") for key in ("time_step_rank", "inner_size"))
    each = inner // heads if isinstance(heads, int) and isinstance(inner, int) and heads else None
    found = {
        "linear_heads_tiled": name.startswith("qwen35"),
        "linear_conv_kernel_dim": values.get(f"{name}.ssm.conv_kernel"),
        "linear_key_head_dim": values.get(f"{name}.ssm.state_size"),
        "linear_num_key_heads": values.get(f"{name}.ssm.group_count"),
        "linear_num_value_heads": heads,
        "linear_value_head_dim": each,
        "full_attention_interval": values.get(f"{name}.full_attention_interval"),
        "norm_topk_prob": True,
    }
    return {word: value for word, value in found.items() if value is not None}
