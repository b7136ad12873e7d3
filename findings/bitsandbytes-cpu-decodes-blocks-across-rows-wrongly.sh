#!/usr/bin/env bash
# bitsandbytes 0.50.2 on a CPU with AVX-512: 4-bit blocks that go from one row into the next.
#
# Guess: dequantize_4bit gives what quantize_4bit was given, but for the rounding to 4 bits, whatever the
#   shape: blocks run over the flattened matrix, so that its columns need not be a multiple of the blocksize.
# Seen: for 48 x 96 in blocks of 64 most numbers are multiplied by another block's scale. The library's own
#   default implementation, which knows nothing of processors, decodes the same codes rightly. Columns that
#   are a multiple of the blocksize agree, as do those that are no multiple of 16.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 numpy==2.4.6 packaging
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install --no-deps bitsandbytes==0.50.2
TORCHDYNAMO_DISABLE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from bitsandbytes import functional
from bitsandbytes.backends.default import ops
from bitsandbytes.backends.utils import _get_4bit_code

processor = torch.backends.cpu.get_cpu_capability()
if processor != "AVX512":
    sys.exit(print(f"this processor is {processor}: the other kernel is not shown here"))
torch.manual_seed(0)
seen = {}
for shape in ((64, 128), (10, 100), (48, 96), (48, 80)):
    weight = torch.randn(shape)
    codes, state = functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    kernel = functional.dequantize_4bit(codes, state)
    table = _get_4bit_code("nf4", codes.device)
    plain = ops._dequantize_4bit_compute(codes.flatten(), state.absmax, table, 64, shape, torch.float32)
    seen[shape] = float((kernel != plain).float().mean())
    far, near = ((each - weight).abs().mean() for each in (kernel, plain))
    print(f"bitsandbytes 0.50.2, {shape}: {seen[shape]:.0%} differ; mean error {far:.3f}, default {near:.3f}")
assert seen[64, 128] == seen[10, 100] == 0, seen
assert min(seen[48, 96], seen[48, 80]) > 0.5, seen
print("guess: none differ; wrong for 96 and 80 columns in blocks of 64")
PYTHON
