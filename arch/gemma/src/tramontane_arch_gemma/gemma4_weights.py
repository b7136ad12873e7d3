"""How Gemma 4's tensors become the model's."""

from tramontane.checkpoint.rules import PACKED_EXPERTS, TEXT_PART, Rename, Rule, Skip, Split

from .gemma4_config import Gemma4Config, LayeredConfig

MIXTURE = ("pre_feedforward_layernorm_2", "post_feedforward_layernorm_1",
          "post_feedforward_layernorm_2", "router.*", "experts.*")  # fmt: skip
BY_TOKEN = ("per_layer_input_gate", "per_layer_projection", "post_per_layer_input_norm")
GGUF = {
    "pre_ffw_norm_2": "pre_feedforward_layernorm_2",
    "post_ffw_norm_1": "post_feedforward_layernorm_1",
    "post_ffw_norm_2": "post_feedforward_layernorm_2",
    "post_ffw_norm": "post_feedforward_layernorm",
    "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection",
    "post_norm": "post_per_layer_input_norm",
}
OUTSIDE = {
    "per_layer_token_embd": "embed_tokens_per_layer",
    "per_layer_model_proj": "per_layer_model_projection",
    "per_layer_proj_norm": "per_layer_projection_norm",
}


def shared(cfg: LayeredConfig) -> list[Rule]:
    """What layers do not need that read others' keys and values; and vectors by token."""
    rest = [index for index in range(cfg.num_hidden_layers) if cfg.keeps(index) != index]
    parts = ("k_proj", "v_proj", "k_norm")
    return [
        *(Skip(f"model.layers.{index}.self_attn.{part}") for index in rest for part in parts),
        *(Rename(f"model.layers.*.{part}", f"model.layers.*.by_token.{part}") for part in BY_TOKEN),
    ]


def weights(cfg: Gemma4Config) -> dict[str, list[Rule]]:
    own: list[Rule] = [
        *shared(cfg),
        Rename("*.router.scale", "*.router.norm.weight"),
        Rename("*.router.per_expert_scale", "*.router.proj.factors"),
        *(Rename(f"model.layers.*.{part}", f"model.layers.*.mixture.{part}") for part in MIXTURE),
    ]
    return {
        "hf": [*TEXT_PART, Skip("*.rotary_emb"), *own, *PACKED_EXPERTS],
        "gguf": [
            Rename("*.post_attention_layernorm", "*.pre_feedforward_layernorm"),
            Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
            Rename("blk.*.layer_output_scale.weight", "model.layers.*.layer_scalar"),
            *(Rename(f"blk.*.{theirs}", f"model.layers.*.{ours}") for theirs, ours in GGUF.items()),
            *(Rename(theirs, f"model.{ours}") for theirs, ours in OUTSIDE.items()),
            Rename("*.mlp.experts.down_proj.scale", "*.router.per_expert_scale"),
            Rename("*.mlp.gate.scale", "*.router.scale"),
            Rename("*.mlp.gate", "*.router.proj"),
            Rename("*.mlp.experts.*", "*.experts.*"),
            *own,
            Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
        ],
    }
