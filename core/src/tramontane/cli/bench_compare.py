"""Earlier figures to compare with: our own `--json`, or a line of another engine's.

The line is an object with `engine`, `depth`, `parallel`, and figures named `pp512` or `tg64`:
tokens a second of reading 512 tokens, or of generating 64.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError

Key = tuple[int, int, int, int]
"""prompt, gen, depth, parallel"""


def read_earlier(path: Path) -> dict[Key, float]:
    """Tokens per second by test. Raises RequestError for a file that holds none."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise RequestError(f"--compare {path}: cannot be read: {reason}") from error
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise RequestError(f"--compare {path}: not JSON: {error}") from error
    if not isinstance(told, Mapping):
        raise RequestError(f"--compare {path}: not an object")
    found = _ours(told) if "results" in told else _of_an_engine(told)
    if not found:
        raise RequestError(f"--compare {path}: it has no results of `bench --json` and no pp or tg")
    return found


def _ours(told: Mapping[str, Any]) -> dict[Key, float]:
    results = told["results"] if isinstance(told["results"], list) else []
    return {
        (r["prompt"], r["gen"], r["depth"], r["parallel"]): r["tokens_per_second"]
        for r in results
        if isinstance(r, Mapping)
        and all(_is_count(r.get(key)) for key in ("prompt", "gen", "depth", "parallel"))
        and _is_rate(r.get("tokens_per_second"))
    }


def _of_an_engine(told: Mapping[str, Any]) -> dict[Key, float]:
    depth, parallel = told.get("depth", 0), told.get("parallel", 1)
    found: dict[Key, float] = {}
    if not (_is_count(depth) and _is_count(parallel)):
        return found
    for name, rate in told.items():
        named = re.fullmatch(r"(pp|tg)(\d+)", name)
        if named and _is_rate(rate):
            count = int(named[2])
            prompt, gen = (count, 0) if named[1] == "pp" else (0, count)
            found[prompt, gen, depth, parallel] = rate
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_rate(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
