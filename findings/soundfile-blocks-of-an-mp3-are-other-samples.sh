#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2): the samples of an MP3 read in blocks are not those of one read.
#
# Guess: blocks joined are the file, as they are for WAV, FLAC and Ogg; `soundfile.blocks` exists for long files.
# Seen: behind each read of a file that can be sought soundfile seeks to where it is already. For MP3 that starts the
#   decoder anew within its overlapping frames, so what follows the first block differs, by more than the sound's own
#   amplitude here. Where the object is told that it cannot seek, blocks are the file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'EOF'
import io

import numpy as np
import soundfile

wave = (0.3 * np.sin(np.arange(88200) / 20)).astype(np.float32)


def away(kind, *, seeks):
    file = io.BytesIO()
    soundfile.write(file, wave, 48000, format=kind)
    whole = soundfile.SoundFile(io.BytesIO(file.getvalue())).read(dtype="float32")
    if seeks:
        blocks = list(soundfile.blocks(io.BytesIO(file.getvalue()), blocksize=4096, dtype="float32"))
    else:
        opened = soundfile.SoundFile(io.BytesIO(file.getvalue()))
        opened.seekable = lambda: False
        blocks = [opened.read(4096, "float32") for _ in range(len(whole) // 4096 + 1)]
    joined = np.concatenate(blocks)
    assert len(joined) == len(whole)
    found = float(np.abs(joined - whole).max())
    print(f"{kind}, {'seeking' if seeks else 'not seeking'}: blocks are {found:.3f} away from one read")
    return found


same = [away(kind, seeks=True) for kind in ("WAV", "FLAC", "OGG")] + [away("MP3", seeks=False)]
raise SystemExit(0 if not any(same) and away("MP3", seeks=True) > 0.3 else "not as stated")
EOF
echo "as stated"
