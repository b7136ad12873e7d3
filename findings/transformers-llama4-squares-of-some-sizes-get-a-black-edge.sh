#!/usr/bin/env bash
# transformers 5.23.0: a square picture for Llama 4 is resized to one that is no square where its side is, say, 2096 pixels: the
#   last column of its tiles is black.
#
# Guess: an image is resized in its own proportions, so a square fills the square canvas of 4 x 4 tiles, whatever its size.
# Seen: the quotient of canvas and side is a float32 number, and its product with the side is rounded down. Of the sides 2085 to
#   2200 some give 1343 columns of 1344; in float64 it would be other sides.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 pillow transformers==5.23.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'EOF'
import sys

import torch

try:
    import torchvision
except RuntimeError:  # its wheel is built for CUDA, and misses two operators beside a torch for the CPU
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from PIL import Image
from transformers import Llama4ImageProcessor

processor = Llama4ImageProcessor()
seen = {}
for side in (2085, 2096, 2137, 2163, 2185, 2190, 2200):
    made = processor(Image.new("RGB", (side, side), (255, 255, 255)), return_tensors="pt")
    rows, columns = made["aspect_ratios"][0].tolist()
    last = made["pixel_values"][columns - 1].float()  # the first row's last tile
    seen[side] = (rows, columns, float(last[..., -2].mean()), float(last[..., -1].mean()))
    print(side, "->", *seen[side])
black = [side for side, (*_, edge) in seen.items() if edge == -1]
right = all(one[:3] == (4, 4, 1) for one in seen.values()) and black == [2096, 2185, 2190]
raise SystemExit(0 if right else f"not as stated: {black} have a black edge")
EOF
echo "as stated"
