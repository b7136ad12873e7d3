"""Prompts and the numbers of their experts, as mistral.rs has them.

    {"rows": [{"prompt": "Discuss the impact", "expert": 0, "image_urls": ["cat.png"]}]}

Expert 0 is the model itself. image_urls may be left out; each is a path, an URL or a data: URL.
Older files are CSV with the columns prompt and expert.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import LARGE, read_object, read_text

KEYS = {"prompt", "expert", "image_urls"}


@dataclass(frozen=True)
class Row:
    """A prompt, and which expert is right for it."""

    prompt: str
    expert: int
    images: tuple[str, ...] = ()


def read_dataset(path: Path, experts: int) -> list[Row]:
    """experts: how many there are, the model itself included. Raises UsageError, CheckpointError
    that name the row."""
    rows = _table(path) if path.suffix.lower() == ".csv" else read_object(path, LARGE).get("rows")
    if not isinstance(rows, list):
        raise UsageError(
            f'{path} should be {{"rows": [{{"prompt": "...", "expert": 0}}, ...]}}: it has no list '
            '"rows"'
        )
    if not rows:
        raise UsageError(f"{path} has no rows: there is nothing to train the gate with")
    return [_row(row, f"{path}: row {index}", experts) for index, row in enumerate(rows)]


def unused(rows: Sequence[Row], experts: int) -> list[int]:
    """Experts that no row is of."""
    return sorted(set(range(experts)) - {row.expert for row in rows})


def _row(row: Any, where: str, experts: int) -> Row:
    if not isinstance(row, dict):
        raise UsageError(f"{where} should be an object with prompt and expert, not {row!r:.60}")
    if unknown := set(row) - KEYS:
        raise UsageError(
            f"{where}: {one_line(min(map(str, unknown)), 60)} is not prompt, expert or image_urls"
        )
    prompt, expert, images = row.get("prompt"), row.get("expert"), row.get("image_urls") or []
    if not isinstance(prompt, str) or not prompt:
        raise UsageError(f"{where}: prompt should be a text, not {prompt!r:.60}")
    if type(expert) is not int or not 0 <= expert < experts:
        raise UsageError(
            f"{where}: expert {expert!r:.60} should be from 0, the model itself, to {experts - 1}"
        )
    if not isinstance(images, list) or not all(isinstance(one, str) and one for one in images):
        raise UsageError(f"{where}: image_urls should be a list of paths or URLs")
    return Row(prompt, expert, tuple(images))


def _table(path: Path) -> list[Any]:
    rows: list[Any] = []
    reader = csv.DictReader(io.StringIO(read_text(path, LARGE), newline=""))
    if not {"prompt", "expert"} <= set(reader.fieldnames or ()):
        raise UsageError(f"{path} should have the columns prompt and expert")
    for line in reader:
        expert = (line["expert"] or "").strip()
        rows.append(
            {"prompt": line["prompt"], "expert": int(expert) if expert.isdecimal() else expert}
        )
    return rows
