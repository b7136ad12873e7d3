"""Makes the embedded text model's training importable: its Llama layers and its optimiser."""

from __future__ import annotations

import sys
from pathlib import Path

TEXT_TRAINING = Path(__file__).parents[2] / "embedded" / "training"
if str(TEXT_TRAINING) not in sys.path:
    sys.path.append(str(TEXT_TRAINING))
