"""Models whose files say some things otherwise: what a configuration multiplies lies in the
weights, a weight is a number of the metadata, rows and columns lie in another order.

Source: llama.cpp's converter, `convert_hf_to_gguf.py`, class by class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Read = Callable[[str], Tensor]
"""A place's weights in float32, by its path."""


@dataclass(frozen=True)
class Restated:
    """What of a model its file says otherwise.

    config: fields of the configuration, and the values with which the file's numbers make the same
    model. gains: what a place's rows are multiplied by, (rows) or one number. rows, columns: where
    a place's are taken from. metadata: keys that are no configuration's, whole. tensors: settings
    that a file has as such. shapes: in place of those that a tensor's name would have, by pattern.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    gains: Mapping[str, Tensor | float] = field(default_factory=dict)
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def weight(self, path: str, given: Tensor) -> Tensor:
        """A place's weights as the file has them."""
        if (gain := self.gains.get(path)) is not None:
            turned = isinstance(gain, Tensor) and given.dim() == 2
            given = given * (gain[:, None] if turned else gain)  # type: ignore[index]
        if (rows := self.rows.get(path)) is not None:
            given = given[rows]
        if (columns := self.columns.get(path)) is not None:
            given = given[:, columns]
        return given


def apertus(cfg: Any, read: Read) -> Restated:
    """The numbers of each layer's activation are metadata."""
    layers, found = range(cfg.num_hidden_layers), {}
    for name in ("alpha_p", "alpha_n", "beta"):
        found[name] = [float(read(f"model.layers.{layer}.mlp.act.{name}")) for layer in layers]
    fields = {f"xielu_{name}": tuple(values) for name, values in found.items()}
    keys = {f"xielu.{name}": values for name, values in found.items()}
    return Restated(fields, metadata=keys | {"xielu.eps": [-1e-6 for _ in layers]})


def falcon_h1(cfg: Any, read: Read) -> Restated:
    """Its dozen multipliers lie in the weights that they multiply."""
    gates, last = cfg.mlp_multipliers
    state = cfg.mamba_n_groups * cfg.mamba_d_state
    counts = torch.tensor([cfg.inner, cfg.inner, state, state, cfg.mamba_n_heads])
    parts = torch.tensor(cfg.ssm_multipliers).repeat_interleave(counts)
    seen = cfg.attention_in_multiplier
    gains: dict[str, Tensor | float] = {}
    for layer in range(cfg.num_hidden_layers):
        by_name = {
            "mamba.in_proj.weight": parts * cfg.ssm_in_multiplier,
            "mamba.in_proj.bias": parts,
            "mamba.out_proj.weight": cfg.ssm_out_multiplier,
            "mamba.out_proj.bias": cfg.ssm_out_multiplier,
            "self_attn.q_proj.weight": seen,
            "self_attn.k_proj.weight": seen * cfg.key_multiplier,
            "self_attn.k_proj.bias": cfg.key_multiplier,
            "self_attn.v_proj.weight": seen,
            "self_attn.o_proj.weight": cfg.attention_out_multiplier,
            "self_attn.o_proj.bias": cfg.attention_out_multiplier,
            "mlp.gate_proj.weight": gates,
            "mlp.gate_proj.bias": gates,
            "mlp.down_proj.weight": last,
            "mlp.down_proj.bias": last,
        }
        gains |= {f"model.layers.{layer}.{name}": gain for name, gain in by_name.items()}
    gains["model.embed_tokens.weight"] = cfg.embedding_multiplier
    gains["lm_head.weight"] = cfg.lm_head_multiplier
    named = [name for name in type(cfg).model_fields if name.endswith("_multiplier")]
    ones: dict[str, Any] = dict.fromkeys(named, 1.0)
    ones |= {"mlp_multipliers": (1.0,) * 2, "ssm_multipliers": (1.0,) * 5}
    if not cfg.mamba_rms_norm:
        ones["mamba_norm_before_gate"] = False  # where there is no norm, nothing comes before it
    return Restated(ones, gains, shapes=mamba2(cfg, read).shapes)


def mamba2(cfg: Any, read: Read) -> Restated:
    """Vectors of heads are matrices of one column, and norms lie by group."""
    groups = (cfg.mamba_n_groups, cfg.inner // cfg.mamba_n_groups)
    column = (cfg.mamba_n_heads, 1)
    return Restated(
        shapes={"blk.*.ssm_a": column, "blk.*.ssm_d": column, "blk.*.ssm_norm.weight": groups}
    )


UNTURNED = 1e30
"""The divisor of a frequency that does not turn."""


def gemma4(cfg: Any, read: Read) -> Restated:
    """Which numbers rotate, of the layers that see everything, is a tensor of divisors."""
    pairs = cfg.global_head_dim // 2
    turned = int(cfg.global_rotary_factor * pairs)
    divisors = torch.tensor([1.0] * turned + [UNTURNED] * (pairs - turned))
    return Restated(tensors={"rope_freqs.weight": divisors})


def tiled_heads(cfg: Any, read: Read) -> Restated:
    """Value heads of Qwen3.5 lie one of each key head after the other."""
    heads, all_heads = cfg.linear_num_key_heads, cfg.linear_num_value_heads
    width = cfg.linear_value_head_dim
    order = torch.arange(all_heads).view(heads, -1).T.flatten()
    wide = (order[:, None] * width + torch.arange(width)).flatten()
    before = 2 * heads * cfg.linear_key_head_dim
    mixed = torch.cat((torch.arange(before), before + wide))
    rows: dict[str, Tensor] = {}
    columns: dict[str, Tensor] = {}
    for layer, kind in enumerate(cfg.layer_types):
        if kind == "linear_attention":
            net = f"model.layers.{layer}.linear_attn"
            rows |= {f"{net}.{part}.weight": mixed for part in ("in_proj_qkv", "conv1d")}
            rows |= {f"{net}.{part}": order for part in ("A_log", "dt_bias")}
            rows |= {f"{net}.in_proj_{part}.weight": order for part in "ab"}
            rows[f"{net}.in_proj_z.weight"] = wide
            columns[f"{net}.out_proj.weight"] = wide
    return Restated({"linear_heads_tiled": True}, rows=rows, columns=columns)
