#!/usr/bin/env bash
# transformers 5.23.0: in the windowed layers of Gemma 3 an image's row sees every later row of its image, however far, but of the
#   earlier ones only those within the window.
#
# Guess: an image's rows see each other in both directions in every layer, as the documentation of the mask says; or the window
#   bounds both directions alike.
# Seen: a windowed layer's mask is (within the window, counted backwards) and (causal or same image). With nine rows and a window
#   of four the first row sees the last, and the last does not see the first. Published models have windows longer than an image.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'EOF'
import torch
from transformers import Gemma3Config, Gemma3Model

torch.manual_seed(0)
config = Gemma3Config(
    text_config=dict(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        head_dim=8, sliding_window=4, layer_types=["sliding_attention"], max_position_embeddings=64,
    ),
    vision_config=dict(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=42, patch_size=14,
        vision_use_head=False,
    ),
    mm_tokens_per_image=9, image_token_index=31, boi_token_index=30, eoi_token_index=29,
)
model = Gemma3Model(config).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.normal_(0, 0.5)
rows, types = torch.randn(1, 12, 16), torch.tensor([[0] + [1] * 9 + [0] * 2])


def seen_by(row):
    """Which rows of the image, numbered from 0, a row's result depends on."""
    given = rows.clone().requires_grad_()
    model(inputs_embeds=given, token_type_ids=types).last_hidden_state[0, 1 + row].sum().backward()
    return [other for other in range(9) if given.grad[0, 1 + other].abs().max() > 0]


first, middle, last = (seen_by(row) for row in (0, 4, 8))
print("the first row sees", first)
print("the middle one    ", middle)
print("the last one      ", last)
as_stated = first == list(range(9)) and middle == list(range(1, 9)) and last == [5, 6, 7, 8]
raise SystemExit(0 if as_stated else "not as stated")
EOF
echo "as stated"
