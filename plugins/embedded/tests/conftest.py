"""Makes the training scripts importable, which are not installed but found where they lie."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

# The package itself needs no gguf, only whoever trains or looks into the file by hand.
collect_ignore = [] if find_spec("gguf") else ["test_training.py", "test_model_file.py"]
