#!/usr/bin/env bash
# mlx-lm 0.32.2: logits of a MiniCPM whose head is its embedding are hidden_size / dim_model_base times too large.
#
# Guess: the same weights give the same logits, whether the head is the embedding or a copy of it.
# Seen: the last vector is divided by hidden_size / dim_model_base, as the model's makers have it, only before a head of its own
#   (`minicpm` and `minicpm3`). The likeliest token is the same; temperatures mean something else, 9 times of it in the 2B.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "mlx[cpu]==0.32.4" mlx-lm==0.32.2
"$folder/venv/bin/python" - <<'EOF'
import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models import minicpm

mx.set_default_device(mx.cpu)
sizes = dict(model_type="minicpm", hidden_size=64, dim_model_base=16, num_hidden_layers=2, intermediate_size=96,
             num_attention_heads=4, num_key_value_heads=4, rms_norm_eps=1e-5, vocab_size=50, scale_depth=1.4, scale_emb=12)
tied = minicpm.Model(minicpm.ModelArgs(**sizes, tie_word_embeddings=True))
weights = dict(tree_flatten(tied.parameters()))
untied = minicpm.Model(minicpm.ModelArgs(**sizes, tie_word_embeddings=False))
untied.load_weights([*weights.items(), ("lm_head.weight", weights["model.embed_tokens.weight"])])
tokens = mx.array([[3, 14, 15, 9, 2, 6]])
ratio = np.array(tied(tokens)) / np.array(untied(tokens))
print(f"tied logits over untied ones: {np.median(ratio):.3f}, hidden_size / dim_model_base is {64 / 16:.3f}")
raise SystemExit(0 if np.allclose(ratio, 4, rtol=1e-3) else "not as stated")
EOF
echo "as stated"
