#!/usr/bin/env bash
# mlx 0.32.4 on a CPU: mxfp4 and mxfp8 of a group whose largest number is below 2^-127 times the type's largest come back huge.
#
# Guess: what is too small for the smallest scale, 2^-127, becomes zero.
# Seen: the scale is 2^ceil(log2(largest / 6)), or / 448, and its exponent plus 127 is kept in a byte without a look at its
#   range. -8 becomes 248, so a group of numbers around 1e-40 has the scale 2^121. Groups of zeros are right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlx-cpu==0.32.4
"$folder/venv/bin/pip" install --quiet --no-deps mlx==0.32.4
"$folder/venv/bin/python" - <<'EOF'
import mlx.core as mx

mx.set_default_device(mx.cpu)
seen = {}
for mode, bits in (("mxfp4", 4), ("mxfp8", 8)):
    for number in (0.0, 1e-30, 1e-40):
        weight = mx.zeros((1, 32))
        weight[0, 0] = number
        packed, scales = mx.quantize(weight, mode=mode, group_size=32, bits=bits)
        back = mx.dequantize(packed, scales, mode=mode, group_size=32, bits=bits, dtype=mx.float32)
        seen[mode, number] = float(back[0, 0])
        print(f"{mode} of {number:g}: exponent {int(scales[0, 0])}, back as {seen[mode, number]:g}")
small = all(abs(seen[mode, 1e-30]) < 2e-30 and seen[mode, 0.0] == 0 for mode in ("mxfp4", "mxfp8"))
huge = all(seen[mode, 1e-40] > 1e30 for mode in ("mxfp4", "mxfp8"))
raise SystemExit(0 if small and huge else "not as stated")
EOF
echo "as stated"
