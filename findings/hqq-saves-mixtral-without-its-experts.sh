#!/usr/bin/env bash
# hqq 0.2.8.post1 with transformers 5.23.0: save_quantized of a Mixtral model writes a qmodel.pt without its experts, and says nothing.
#
# Guess: what is no linear layer is saved as it is.
# Seen: transformers 5 keeps experts as two parameters of one module (experts.gate_up_proj, experts.down_proj), which hqq
#   leaves unquantized; it saves the modules without children, and the module of the experts has a child, its activation.
#   The file has attention, norms and router, and not one number of the experts.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 accelerate==1.15.0 numpy
"$folder/venv/bin/pip" install --quiet --no-deps hqq==0.2.8.post1 termcolor tqdm einops
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -W ignore - "$folder/saved" <<'EOF'
import sys

import torch
from hqq.core.quantize import BaseQuantizeConfig
from hqq.models.hf.base import AutoHQQHFModel
from transformers import MixtralConfig, MixtralForCausalLM

model = MixtralForCausalLM(MixtralConfig(
    vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=4, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
))
experts = {name for name, _ in model.named_parameters() if ".experts." in name}
settings = BaseQuantizeConfig(nbits=4, group_size=64, axis=1)
AutoHQQHFModel.quantize_model(model, settings, compute_dtype=torch.float32, device="cpu")
AutoHQQHFModel.save_quantized(model, sys.argv[1])
saved = torch.load(f"{sys.argv[1]}/qmodel.pt", weights_only=True)
names = {f"{module}.{name}" for module, held in saved.items() for name in held}
print(f"the model has {sorted(experts)}")
print(f"saved of these: {sorted(names & experts)}; saved in all: {len(names)} entries")
raise SystemExit(0 if len(experts) == 2 and not names & experts else "not as stated")
EOF
echo "as stated"
