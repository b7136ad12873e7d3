#!/usr/bin/env bash
# transformers 5.23.0: which layers have a sliding window in Qwen2, Qwen3, Qwen2-MoE and Qwen3-MoE.
#
# Guess: the four share `use_sliding_window`, `sliding_window` and `max_window_layers`, and in each of
# them layers from `max_window_layers` on have the window, as in Qwen2's documentation.
#
# Seen: Qwen2 and Qwen3 do so. In Qwen2-MoE it is the other way round: layers *before*
# `max_window_layers`, and of those every second one, the first included. Qwen3-MoE does not look at
# the key at all: every layer has the window.
#
# How: models of one layer with random weights. With a window of 3, the last of ten tokens sees the
# first one only where the layer has no window; so its logits change with the first token, or not.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0
"$work/venv/bin/pip" install --quiet transformers==5.23.0
"$work/venv/bin/python" - <<'PY'
import sys

import torch
import transformers

print("transformers", transformers.__version__)
BASE = dict(
    vocab_size=32, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, use_sliding_window=True, sliding_window=3,
)
EXPERTS = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
FAMILIES = {
    "Qwen2": {}, "Qwen3": dict(head_dim=16),
    "Qwen2Moe": dict(EXPERTS, shared_expert_intermediate_size=16), "Qwen3Moe": dict(EXPERTS, head_dim=16),
}


@torch.inference_mode()
def windowed(family, first):
    config = getattr(transformers, family + "Config")(**BASE, **FAMILIES[family], max_window_layers=first)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    one, other = ([start, *range(2, 11)] for start in (0, 1))
    last = [model(torch.tensor([tokens]), use_cache=False).logits[0, -1] for tokens in (one, other)]
    return torch.equal(*last)


seen = {family: (windowed(family, 0), windowed(family, 1)) for family in FAMILIES}
print("does the only layer have the window?")
print(f"{'':10}max_window_layers=0  max_window_layers=1")
for family, (zero, one) in seen.items():
    print(f"{family:10}{zero!s:21}{one}")
stated = {
    "Qwen2": (True, False), "Qwen3": (True, False),
    "Qwen2Moe": (False, True), "Qwen3Moe": (True, True),
}
sys.exit(seen != stated)
PY
echo "as stated: one key, three meanings"
