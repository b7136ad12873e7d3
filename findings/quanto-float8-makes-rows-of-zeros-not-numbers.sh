#!/usr/bin/env bash
# optimum-quanto 0.2.7: a row of zeros in a layer quantized to qfloat8 becomes a row of NaN, saved and loaded as such.
#
# Such rows are in models: the head's row of a padding token, where head and embedding are one matrix, is zero in a new model.
#
# Guess: zeros are the numbers that every quantization keeps; the scale of such a row may be anything.
# Seen: the scale is the row's largest number over 448, 0, and quanto divides by it. 0 / 0 clamped and cast to float8 is
#   NaN, and 0 * NaN is NaN again: every logit of that token, and with it every softmax. qint8 divides by 0 as well, but
#   the cast of NaN to int8 gives 0 on x86, so that only float8 shows it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy safetensors huggingface_hub
"$folder/venv/bin/pip" install --quiet --no-deps optimum-quanto==0.2.7 ninja
"$folder/venv/bin/python" -W ignore - <<'EOF'
import torch
from optimum.quanto import freeze, qfloat8_e4m3fn, qfloat8_e5m2, qint4, qint8, quantize

seen = {}
for kind in (qfloat8_e4m3fn, qfloat8_e5m2, qint8, qint4):
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(64, 8, bias=False))
    with torch.no_grad():
        layer[0].weight[3] = 0
    quantize(layer, weights=kind)
    freeze(layer)
    out = layer(torch.ones(1, 64))[0]
    stored = {name: tensor for name, tensor in layer.state_dict().items() if name.endswith("_scale")}
    scale = stored["0.weight._scale"][3].item()
    seen[kind.name] = out[3].isnan().item()
    print(f"{kind.name}: scale {scale:g}, output {out[3].item():g}; softmax sums to {out.softmax(0).sum().item():g}")
right = {"qfloat8_e4m3fn": True, "qfloat8_e5m2": True}
raise SystemExit(0 if {kind: seen[kind] for kind in right} == right else f"not as stated: {seen}")
EOF
echo "as stated"
