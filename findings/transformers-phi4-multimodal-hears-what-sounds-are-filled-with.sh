#!/usr/bin/env bash
# transformers 5.23.0: a short sound beside a longer one is heard otherwise by Phi-4-multimodal than alone.
#
# Guess: the attention mask that the processor makes for several sounds keeps what a shorter one is filled up with out of
#   its rows, as in the checkpoint's own code, which gives masked scores minus infinity.
# Seen: the mask, of True and False, is added to the scores as 1 and 0. What a sound is filled with is attended to, and
#   its rows change with it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'EOF'
import torch
import torch.nn.functional as F
from transformers import Phi4MultimodalAudioConfig
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalAudioModel

torch.manual_seed(0)
config = Phi4MultimodalAudioConfig(
    hidden_size=32, intermediate_size=48, num_blocks=2, num_attention_heads=4, ext_pw_out_channel=32,
    depthwise_separable_out_channel=32, nemo_conv_channels=8,
)
tower = Phi4MultimodalAudioModel(config).eval()
with torch.no_grad():
    for parameter in tower.parameters():
        parameter.normal_(0, 0.3)
sound = torch.randn(1, 80, 80)
mask = (torch.arange(240) < 80)[None]
with torch.no_grad():
    # row 10 and those behind are of the filling; the convolutions reach one row back
    heard = [tower(F.pad(sound, (0, 0, 0, 160), value=filling), mask)[0, :8] for filling in (0.0, 9.0)]
change = float((heard[0] - heard[1]).abs().max() / heard[0].abs().max())
print(f"another filling behind a sound changes its rows by {change:.1e} of the largest")
raise SystemExit(0 if change > 1e-4 else "not as stated")
EOF
echo "as stated"
