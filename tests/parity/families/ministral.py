"""Ministral 3."""

from __future__ import annotations

from typing import Any

from .convert import interleaved
from .record import Family, Gguf, rope


def growing(beta: float, trained: int, **more: Any) -> dict[str, Any]:
    told = {"factor": 4.0, "mscale": 1.0, "mscale_all_dim": 1.0, **more}
    settings = {"original_max_position_embeddings": trained, "llama_4_scaling_beta": beta}
    return rope("yarn", **settings, **told)


def keys(config: Any) -> dict[str, Any]:
    settings = config.rope_parameters
    return {
        "rope.scaling.factor": settings["factor"],
        "rope.scaling.original_context_length": settings["original_max_position_embeddings"],
        "rope.scaling.yarn_log_multiplier": settings["mscale_all_dim"],
        "rope.scaling.type": "yarn",
        "attention.temperature_scale": settings["llama_4_scaling_beta"],
    }


FAMILIES = {
    "ministral3": Family(
        "Ministral3Config",
        gguf=Gguf("mistral3", convert=interleaved, keys=keys, sizes=growing(0.3, 8)),
        variants={
            "growing": {"head_dim": 12, **growing(0.3, 8)},
            "slowly": {"head_dim": 20, **growing(0.1, 16), "tie_word_embeddings": True},
            "window": {"head_dim": 12, "sliding_window": 7, **growing(0.5, 4)},
        },
    ),
}
