#!/usr/bin/env bash
# transformers 5.23.0: save_pretrained of a Kimi Linear model gives the dense feed-forward half of its first layer the name of
#   the experts' module.
#
# Guess: a model is saved under the names that its makers' checkpoint has: there the dense half of the first layer is
#   model.layers.0.mlp.gate_proj, and block_sparse_moe is where there are experts.
# Seen: block_sparse_moe becomes mlp in every layer when a checkpoint is read, and backwards every mlp becomes block_sparse_moe:
#   model.layers.0.block_sparse_moe.gate_proj, beside experts and router of the other layers. transformers reads both.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - "$work/saved" <<'EOF'
import sys

from safetensors import safe_open
from transformers import KimiLinearConfig, KimiLinearForCausalLM

config = KimiLinearConfig(
    vocab_size=32, hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=2, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8,
    num_local_experts=4, num_experts_per_tok=2, linear_head_dim=8, linear_num_heads=2, pad_token_id=0, bos_token_id=1,
    eos_token_id=2, mlp_layer_types=["dense", "sparse"],
)
KimiLinearForCausalLM(config).save_pretrained(sys.argv[1])
with safe_open(f"{sys.argv[1]}/model.safetensors", "pt") as file:
    dense = sorted(name for name in file.keys() if name.startswith("model.layers.0.") and "self_attn" not in name)
print("\n".join(dense))
seen = "model.layers.0.block_sparse_moe.gate_proj.weight" in dense and not any(".mlp." in name for name in dense)
raise SystemExit(0 if seen else "not as stated")
EOF
echo "as stated"
