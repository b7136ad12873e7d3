"""The layer of Qwen3-Next and Qwen3.5 that guesses a token further: `mtp.*`, without a state."""

from typing import ClassVar

from tramontane.blocks import NextToken, NextTokenHead
from tramontane.checkpoint.rules import Rename, Rule, Shift, Skip

from .hybrid import HybridConfig, NextConfig, dense_layer, next_layer
from .hybrid_weights import WEIGHTS


class MtpHead(NextTokenHead):
    normed: ClassVar[bool] = True


NAMES = {
    "mtp.fc": "eh_proj",
    "mtp.pre_fc_norm_embedding": "enorm",
    "mtp.pre_fc_norm_hidden": "hnorm",
    "mtp.norm": "model.norm",
}
RULES: list[Rule] = [
    # lm_head and embedding are the model's
    Skip("mtp.embed_tokens"),
    Skip("mtp.shared_head*"),
    *(Skip(f"mtp.layers.{index}.*") for index in range(1, 4)),  # which guess still further
    *(Rename(*pair) for pair in NAMES.items()),
    Rename("mtp.layers.*", "model.layers.*"),
    Shift("enorm", 1.0),
    Shift("hnorm", 1.0),
    *WEIGHTS["hf"],
]


def next_token(cfg: HybridConfig) -> NextToken:
    one = {"num_hidden_layers": 1, "layer_types": ("full_attention",)}
    if isinstance(cfg, NextConfig):
        sparse = cfg.model_copy(update={**one, "mlp_only_layers": (), "decoder_sparse_step": 1})
        return NextToken(
            lambda: MtpHead(sparse, next_layer(sparse, 0)), {"hf": ("mtp.*",)}, {"hf": RULES}
        )
    dense = cfg.model_copy(update=one)
    return NextToken(
        lambda: MtpHead(dense, dense_layer(dense, 0)), {"hf": ("mtp.*",)}, {"hf": RULES}
    )
