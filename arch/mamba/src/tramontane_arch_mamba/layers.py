"""What Mamba's first and second version have in common: layers of one mixer, and no attention."""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.rules import Rename, Rule

ENDLESS: Mapping[str, Any] = {
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 2**20,  # there is no limit; the number that GGUF files have
}
BACKBONE: tuple[Rule, ...] = (
    Rename("backbone.embeddings", "model.embed_tokens"),
    Rename("backbone.norm_f", "model.norm"),
    Rename("backbone.*", "model.*"),
)


def without_attention(values: dict[str, Any], expand: Any) -> None:
    """Fill in what a decoder has and these have not. expand: how many times hidden_size a mixer
    computes; what says the same in numbers goes first, as in Falcon Mamba, where it is another."""
    hidden = values.get("hidden_size")
    if isinstance(hidden, int) and isinstance(expand, int):
        values.setdefault("intermediate_size", hidden * expand)
    values.setdefault("num_attention_heads", 1)
    values["head_dim"] = 1
