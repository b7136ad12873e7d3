#!/usr/bin/env bash
# soundfile 0.14.0: a steady bit rate asked for without a compression level is passed over, without a word.
#
# Guess: soundfile.write(..., format="MP3", bitrate_mode="CONSTANT") writes frames of one bit rate.
# Seen: it writes what it writes without the argument, frames of several bit rates. Only with compression_level as well
#   does bitrate_mode count, and an unknown mode is an error only then.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.2
"$folder/venv/bin/python" - <<'EOF'
import io

import numpy as np
import soundfile

wave = np.concatenate([np.sin(np.arange(44100) / 20) / 2, np.random.default_rng(0).normal(size=44100) / 8])


def written(**how):
    file = io.BytesIO()
    soundfile.write(file, wave, 44100, format="MP3", **how)
    return file.getvalue()


def rates(data):
    """Bit rates of the frames behind the first, in kbit/s (MPEG 1, layer III)."""
    table = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
    found, place = [], 0
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] == 0xFB:
        rate, padded = table[data[place + 2] >> 4], data[place + 2] >> 1 & 1
        found.append(rate)
        place += 144 * rate * 1000 // 44100 + padded
    return sorted(set(found[1:]))


plain = written()
alone = written(bitrate_mode="CONSTANT")
unknown = written(bitrate_mode="NONE SUCH")
both = written(bitrate_mode="CONSTANT", compression_level=0.6)
for name, data in (("without", plain), ("bitrate_mode", alone), ("with compression_level", both)):
    print(f"{name}: {len(data)} bytes, frames of {rates(data)} kbit/s")
try:
    written(bitrate_mode="NONE SUCH", compression_level=0.6)
    refused = False
except Exception as error:
    refused = True
    print(f"an unknown mode with compression_level: {type(error).__name__}")
right = alone == plain == unknown and len(rates(plain)) > 1 and len(rates(both)) == 1 and refused
raise SystemExit(0 if right else "not as stated")
EOF
echo "as stated"
