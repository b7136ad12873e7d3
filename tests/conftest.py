"""Set-up for every test here."""

from __future__ import annotations

import os

# Tiny models gain nothing from threads, and threads that wait in a loop cost what else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
