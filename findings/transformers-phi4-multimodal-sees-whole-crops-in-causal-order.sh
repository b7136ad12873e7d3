#!/usr/bin/env bash
# transformers 5.23.0: by default, patches of Phi-4-multimodal's images see only those before them, unless a part is white.
#
# Guess: the encoder is SigLIP's, whose patches see each other, as in the checkpoint's own code; which attention is
#   chosen (sdpa, which is the default, or eager) changes rounding only.
# Seen: its attention says is_causal, and where no patch is masked there is no mask, so that sdpa makes it causal: the
#   first patch does not move with the last. With eager attention it does, and with sdpa too once any patch is masked.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'EOF'
import torch
from transformers import Phi4MultimodalVisionConfig
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalVisionModel

torch.manual_seed(0)
config = Phi4MultimodalVisionConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=32, crop_size=32,
    patch_size=8,
)
tower = Phi4MultimodalVisionModel(config).eval()
with torch.no_grad():
    for parameter in tower.parameters():
        parameter.normal_(0, 0.2)
one = torch.randn(1, 3, 32, 32)
other = one.clone()
other[..., -8:, -8:] += 3  # the last of 4 x 4 patches
moved = {}
for attention in ("eager", "sdpa"):
    tower.set_attn_implementation(attention)
    for shown in ("whole", "partly white"):
        mask = torch.ones(1, 4, 4, dtype=torch.bool)
        mask[0, :2, 3] = shown == "whole"
        with torch.no_grad():
            seen = [
                tower(pixels, patch_attention_mask=mask, output_hidden_states=True).hidden_states[-2][0, 0]
                for pixels in (one, other)
            ]
        moved[attention, shown] = float((seen[0] - seen[1]).abs().max())
        print(f"{attention}, {shown}: the first patch moves by {moved[attention, shown]:.1e} with the last")
causal = [key for key, change in moved.items() if change == 0]
raise SystemExit(0 if causal == [("sdpa", "whole")] else "not as stated")
EOF
echo "as stated"
