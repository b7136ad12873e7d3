"""What checkpoints of LFM2 call their tensors."""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.rules import EXPERTS, Rename, Rule

HF: list[Rule] = [
    Rename("model.embedding_norm", "model.norm"),
    Rename("*.operator_norm", "*.input_layernorm"),
    Rename("*.ffn_norm", "*.post_attention_layernorm"),
    Rename("*.q_layernorm", "*.q_norm"),
    Rename("*.k_layernorm", "*.k_norm"),
    Rename("model.layers.*.self_attn.out_proj", "model.layers.*.self_attn.o_proj"),
    Rename("*.conv.*", "*.self_attn.*"),
    Rename("*.feed_forward.*", "*.mlp.*"),
    Rename("*.mlp.*w1", "*.mlp.*gate_proj"),
    Rename("*.mlp.*w3", "*.mlp.*up_proj"),
    Rename("*.mlp.*w2", "*.mlp.*down_proj"),
    Rename("*.mlp.expert_bias", "*.mlp.gate.balance"),
    *EXPERTS,
]
GGUF: list[Rule] = [
    Rename("token_embd_norm", "model.norm"),
    *(
        Rename(f"blk.*.shortconv.{part}", f"model.layers.*.self_attn.{part}")
        for part in ("in_proj", "conv", "out_proj")
    ),
    Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
]
WEIGHTS: dict[str, list[Rule]] = {"hf": HF, "gguf": GGUF}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of convolutions. Layers without heads of keys are such."""
    kv_heads, layers = config.get("num_key_value_heads"), config.get("num_hidden_layers")
    each = kv_heads if isinstance(kv_heads, tuple) else (kv_heads,) * (layers or 0)
    found = {
        "layer_types": tuple("full_attention" if count else "conv" for count in each),
        "num_key_value_heads": max((count or 0 for count in each), default=0) or 1,
        "conv_L_cache": values.get(f"{config['model_type']}.shortconv.l_cache"),
        "block_auto_adjust_ff_dim": False,  # it is the adjusted number
    }
    return {word: value for word, value in found.items() if value is not None}
