#!/usr/bin/env bash
# transformers 5.23.0 with torchao 0.18.0: untie_embedding_weights=True saves a model that says it has a head of its own, without it.
#
# Guess: of a model whose head is its embedding, the saved folder has both, one of them quantized, as the option's name says.
# Seen: neither is quantized and both are one tensor still; config.json gets tie_word_embeddings=false, and the file
#   has the embedding alone. Loading that folder makes a random head, with a line in a report, and other answers.
#   Without the option the same folder says that they are tied, and answers as before.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 torchao==0.18.0 accelerate==1.15.0 numpy
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -W ignore - "$folder" 2>/dev/null <<'EOF'
import sys

import torch
from safetensors import safe_open
from torchao.quantization import IntxWeightOnlyConfig, PerGroup
from transformers import Qwen3Config, Qwen3ForCausalLM, TorchAoConfig

folder = sys.argv[1]
torch.manual_seed(0)
Qwen3ForCausalLM(Qwen3Config(
    vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=2, head_dim=32, tie_word_embeddings=True, initializer_range=0.2,
)).save_pretrained(f"{folder}/plain")
tokens, seen = torch.arange(8)[None], {}
for untie in (True, False):
    settings = TorchAoConfig(
        IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)),
        include_input_output_embeddings=True, untie_embedding_weights=untie,
    )
    model = Qwen3ForCausalLM.from_pretrained(f"{folder}/plain", quantization_config=settings)
    model.save_pretrained(f"{folder}/{untie}")
    with safe_open(f"{folder}/{untie}/model.safetensors", "pt") as file:
        heads = [name for name in file.keys() if name.startswith(("lm_head", "model.embed_tokens"))]
    again = Qwen3ForCausalLM.from_pretrained(f"{folder}/{untie}")
    apart = (model(tokens).logits - again(tokens).logits).abs().max().item()
    tied = again.config.tie_word_embeddings
    print(f"untie_embedding_weights={untie}: saved {heads}, tie_word_embeddings={tied}; logits differ by {apart:.3g}")
    seen[untie] = (heads, tied, apart > 0.1)
one = ["model.embed_tokens.weight"]
raise SystemExit(0 if seen == {True: (one, False, True), False: (one, True, False)} else "not as stated")
EOF
echo "as stated"
