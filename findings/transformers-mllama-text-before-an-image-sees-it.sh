#!/usr/bin/env bash
# transformers 5.23.0: in Llama 3.2 Vision (Mllama) tokens before an image attend to it.
#
# Guess: a token that stands before the first image sees none, since the processor's cross_attention_mask has zeros for
#   it; so its logits do not depend on the image, as in Meta's own code, which multiplies the attention's output by 0.
# Seen: such a row's mask is made zeros, which lets it attend to everything, empty tiles too, and only what the MLP gives
#   is multiplied by 0. The logits of tokens before the image change with the image's pixels.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'EOF'
import torch
from transformers import MllamaConfig, MllamaForConditionalGeneration

config = MllamaConfig(
    image_token_index=50,
    text_config=dict(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, cross_attention_layers=[1], pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    ),
    vision_config=dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_global_layers=1, attention_heads=2,
        image_size=28, patch_size=14, intermediate_layers_indices=[0], vision_output_dim=32,
    ),
)
torch.manual_seed(0)
model = MllamaForConditionalGeneration(config).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.normal_(0, 0.5)
ids = torch.tensor([[5, 6, 7, 50, 8]])
mask = torch.zeros(1, 5, 1, 4, dtype=torch.int64)
mask[:, 3:, 0, :2] = 1
seen = []
for seed in (1, 2):
    torch.manual_seed(seed)
    pixels = torch.randn(1, 1, 4, 3, 28, 28)
    with torch.no_grad():
        logits = model(
            input_ids=ids, pixel_values=pixels, aspect_ratio_ids=torch.tensor([[2]]), cross_attention_mask=mask,
            aspect_ratio_mask=torch.tensor([[[1, 1, 0, 0]]]),
        ).logits[0]
    seen.append(logits)
change = float((seen[0][:3] - seen[1][:3]).abs().max() / seen[0].abs().max())
print(f"another image changes the logits of the three tokens before it by {change:.1e} of the largest")
raise SystemExit(0 if change > 1e-3 else "not as stated")
EOF
echo "as stated"
