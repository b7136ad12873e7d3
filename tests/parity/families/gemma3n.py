"""Gemma 3n."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from .convert import renamed
from .record import Family, Gguf, Tensors


def files_of_today(tensors: Tensors, config: Any) -> Tensors:
    """The further streams' projections in one tensor."""
    out = dict(renamed(tensors, ("correct_output_scale", "correct_output_scale.weight")))
    for part in ("altup_projections", "altup_unembed_projections"):
        names = [f"model.{part}.{i}.weight" for i in range(config.altup_num_inputs - 1)]
        out[f"model.{part}.weight"] = np.stack([out.pop(name) for name in names])
    return out


def keys(config: Any) -> dict[str, Any]:
    scales = [NormalDist().inv_cdf(share) if share else float("-inf")
              for share in config.activation_sparsity_pattern]  # fmt: skip
    return {
        "attention.sliding_window": config.sliding_window,
        "attention.sliding_window_pattern": [k == "sliding_attention" for k in config.layer_types],
        "attention.shared_kv_layers": config.num_kv_shared_layers,
        "rope.freq_base": config.rope_parameters["full_attention"]["rope_theta"],
        "rope.freq_base_swa": config.rope_parameters["sliding_attention"]["rope_theta"],
        "embedding_length_per_layer_input": config.hidden_size_per_layer_input,
        "altup.active_idx": config.altup_active_idx,
        "altup.num_inputs": config.altup_num_inputs,
        "activation_sparsity_scale": scales,
        "final_logit_softcapping": config.final_logit_softcapping,
    }


KINDS = ["sliding_attention", "full_attention"]
SMALL = {"head_dim": 12, "sliding_window": 7, "num_hidden_layers": 6, "laurel_rank": 5,
         "layer_types": KINDS * 3, "hidden_size_per_layer_input": 8,
         "vocab_size_per_layer_input": 99}  # fmt: skip
DENSE = [0.0] * 6
ROPES = {"rope_parameters": {
    "full_attention": {"rope_type": "default", "rope_theta": 5e5},
    "sliding_attention": {"rope_type": "default", "rope_theta": 2e3}}}  # fmt: skip
FAMILIES = {
    "gemma3n": Family(
        "Gemma3nTextConfig",
        gguf=Gguf(
            "gemma3n",
            convert=files_of_today,
            keys=keys,
            plain=("altup.", "laurel."),
            sizes={
                "head_dim": 32,
                "sliding_window": 9,
                "num_hidden_layers": 5,
                "layer_types": ["sliding_attention"] * 4 + ["full_attention"],
                "hidden_size_per_layer_input": 256,
                "vocab_size_per_layer_input": 96,
                "num_kv_shared_layers": 0,
                "activation_sparsity_pattern": [0.95] * 5,
                "laurel_rank": 64,
            },
        ),
        variants={
            "shared": {**SMALL, "num_kv_shared_layers": 2,
                       "activation_sparsity_pattern": [0.95, 0.6, *DENSE[2:]]},
            "unshared": {**SMALL, **ROPES, "num_kv_shared_layers": 0,
                         "activation_sparsity_pattern": DENSE, "final_logit_softcapping": 3.0},
            "few-vectors": {**SMALL, "vocab_size_per_layer_input": 40, "num_kv_shared_layers": 3,
                            "activation_sparsity_pattern": [0.3, *DENSE[1:]],
                            "intermediate_size": [80, 64, 48, 80, 64, 48]},
            "other-stream": {**SMALL, "altup_num_inputs": 3, "altup_active_idx": 1,
                             "altup_correct_scale": False, "num_kv_shared_layers": 1,
                             "activation_sparsity_pattern": [0.95, *DENSE[1:]]},
        },
    ),
}  # fmt: skip
