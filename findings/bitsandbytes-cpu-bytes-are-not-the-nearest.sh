#!/usr/bin/env bash
# bitsandbytes 0.50.2 on a CPU, quantize_blockwise (which double quantization uses): the nearest number?
#
# Guess: each number, divided by the largest of its block, becomes the byte of the nearest of the table's 256.
# Seen: about one in a thousand becomes the farther neighbour. Numbers are first rounded to the nearest of
#   65536 steps from -1 to 1, and the table is looked up from there; doing the same gives equal bytes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 numpy==2.4.6 packaging
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install --no-deps bitsandbytes==0.50.2
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from bitsandbytes import functional

torch.manual_seed(0)
table = functional.create_dynamic_map()
numbers = torch.rand(256 * 800) * 2 - 0.7
codes, state = functional.quantize_blockwise(numbers, blocksize=256)
scaled = (numbers.view(-1, 256) / state.absmax[:, None]).flatten()
between = (table[:-1] + table[1:]) / 2
nearest = torch.bucketize(scaled, between).to(torch.uint8)
step = ((scaled + 1) * 0.5 * 65535 + 0.5).floor()
stepped = torch.bucketize(step / 65535 * 2 - 1, between).to(torch.uint8)
farther = int((codes != nearest).sum())
print(f"bitsandbytes 0.50.2: {farther} of {len(numbers)} bytes are not of the nearest number")
print(f"by way of 65536 steps: {int((codes != stepped).sum())} differ")
apart = (table[codes.long()] - scaled).abs() - (table[nearest.long()] - scaled).abs()
assert 50 < farther < 1000, farther
assert float(apart.max()) > 1e-5, apart.max()
assert torch.equal(codes, stepped)
print("guess: 0; wrong")
PYTHON
