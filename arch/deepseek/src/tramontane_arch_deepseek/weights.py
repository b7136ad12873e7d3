"""How DeepSeek's tensors become the model's."""

from tramontane.blocks import NextToken, next_layer
from tramontane.checkpoint.latent_rules import KeysAndValues, TurnedRows
from tramontane.checkpoint.rules import EXPERTS, Rename, Rule, Skip, Split

from .model import DeepseekV2Config, layer


def weights(cfg: DeepseekV2Config) -> dict[str, list[Rule]]:
    depth = cfg.num_hidden_layers
    latent: list[Rule] = [KeysAndValues()]
    if cfg.rope_interleave:
        latent += [
            TurnedRows("*.self_attn.q_proj"),
            TurnedRows("*.self_attn.q_b_proj"),
            TurnedRows("*.self_attn.kv_a_proj_with_mqa"),
        ]
    return {
        "hf": [
            Skip("*.rotary_emb"),
            Skip("*.self_attn.indexer.*"),  # of V3.2; see sparse.py
            # layers that guess further tokens
            *(Skip(f"model.layers.{depth + ahead}.*") for ahead in range(4)),
            Rename("*.mlp.gate.e_score_correction_bias", "*.mlp.gate.balance"),
            *EXPERTS,
            *latent,
        ],
        "gguf": [
            *(Skip(f"*.{depth + ahead}.*") for ahead in range(4)),
            Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
            Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
            Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
            *latent,
        ],
    }


def next_token(cfg: DeepseekV2Config) -> NextToken:
    return next_layer(cfg, lambda: layer(cfg, cfg.num_hidden_layers - 1), weights(cfg))
