#!/usr/bin/env bash
# gguf 0.19.0: GGUFWriter(endianess=GGUFEndian.BIG) writes the scales of quantized blocks little-endian into a big-endian file.
#
# Guess: a big-endian file has all its numbers big-endian, as the package's own gguf-convert-endian makes them.
# Seen: header, metadata and plain tensors are swapped as elements of their arrays; blocks are arrays of bytes, which have
#   nothing to swap, so that each float16 scale stays as the quantizer wrote it. The same Q8_0 tensor has other bytes in a
#   file that gguf-convert-endian has turned.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gguf==0.19.0 numpy
"$folder/venv/bin/python" -W ignore - "$folder" <<'EOF'
import builtins
import sys
from argparse import Namespace

import gguf
import numpy as np
from gguf.scripts.gguf_convert_endian import convert_byteorder

Q8_0 = gguf.GGMLQuantizationType.Q8_0
blocks = gguf.quants.quantize(np.ones((1, 32), np.float32), Q8_0)


def write(path, order):
    writer = gguf.GGUFWriter(path, "llama", endianess=order)
    writer.add_tensor("plain", np.ones(1, np.float32))
    writer.add_tensor("blocks", blocks.copy(), raw_dtype=Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def first_bytes(path):
    return {t.name: t.data.tobytes()[:4].hex() for t in gguf.GGUFReader(path).tensors}


little = write(f"{sys.argv[1]}/little.gguf", gguf.GGUFEndian.LITTLE)
big = write(f"{sys.argv[1]}/big.gguf", gguf.GGUFEndian.BIG)
turned = write(f"{sys.argv[1]}/turned.gguf", gguf.GGUFEndian.LITTLE)
builtins.input = lambda _: "YES"
convert_byteorder(gguf.GGUFReader(turned, "r+"), Namespace(order="big", dry_run=False))
found = {name: first_bytes(path) for name, path in
         (("little", little), ("written big", big), ("turned big", turned))}
for name, held in found.items():
    print(f"{name:12} {held}")
written, swapped = found["written big"], found["turned big"]
same = written["plain"] == swapped["plain"] and written["blocks"] == found["little"]["blocks"]
raise SystemExit(0 if same and written["blocks"] != swapped["blocks"] else "not as stated")
EOF
echo "as stated"
