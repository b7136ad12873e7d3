"""Zamba2: Mamba-2, and transformer blocks that layers share."""

from __future__ import annotations

from typing import Any

from .record import SHARED, Family, rope

LAYERS: dict[str, Any] = {
    "num_hidden_layers": 5,
    "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid", "hybrid"],
    "n_mamba_heads": 6,
    "mamba_d_state": 10,
    "chunk_size": 16,
    "adapter_rank": 5,
    "num_mem_blocks": 2,
    # transformers has it as the least time step of prompts, and not of single tokens
    "time_step_min": 1e-30,
}
FAMILIES = {
    "zamba2": Family(
        "Zamba2Config",
        shared=SHARED | LAYERS,
        variants={
            "two-blocks": {},
            "adapters": {
                "num_key_value_heads": 4,
                "use_shared_attention_adapter": True,
                "use_mem_rope": True,
                "mamba_ngroups": 2,
            },
            "one-block": {
                "num_mem_blocks": 1,
                "add_bias_linear": True,
                "use_mem_rope": True,
                "intermediate_size": None,
                "mamba_d_conv": 3,
                **rope("default", rope_theta=500.0),
            },
            "block-each": {
                "num_mem_blocks": 3,
                "num_attention_heads": 3,
                "num_key_value_heads": 3,
                "mamba_expand": 3,
                "n_mamba_heads": 9,
                "mamba_ngroups": 3,
                "use_shared_attention_adapter": True,
            },
        },
    ),
}
