"""Which of a repository's files make a model: never code, never another framework's weights."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from tramontane.checkpoint.weight_files import choose_weights
from tramontane.errors import ModelNotFound
from tramontane.registry import known

from .name import HubName

SIDE_FILES = (
    "config.json", "generation_config.json", "quantize_config.json", "quant_config.json",
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "tekken.json",
    "chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja",
)  # fmt: skip
"""Small, and fetched before the weights: what is interrupted then lacks weights only."""

NUMBERED = re.compile(r"(?P<stem>.*)-\d{5}-of-(?P<count>\d{5})(?P<end>\.[A-Za-z0-9]+)")
MOST_PARTS = 4096
SHOWN = 12


def one_file(names: Iterable[str], asked: HubName) -> list[str]:
    """The file and, where it is one part of several, all of them. Raises ModelNotFound."""
    there = set(names)
    parts = all_parts(asked.file or "")
    missing = [part for part in parts if part not in there]
    if not missing:
        return parts
    if asked.file in there:
        raise ModelNotFound(f"{asked.repo} lacks {missing[0]}, a part of {asked.file}")
    said = f"{asked.repo} has no file {asked.file}"
    folded = {name.lower(): name for name in sorted(there)}
    if close := difflib.get_close_matches((asked.file or "").lower(), folded, 1, 0.7):
        raise ModelNotFound(f"{said}; did you mean {asked.repo}:{folded[close[0]]}?")
    others = first_parts(there)
    shown = choices(asked.repo, others) if others else "it has no single-file models"
    raise ModelNotFound(f"{said}; {shown}")


def all_parts(file: str) -> list[str]:
    """The names of every part of a split file, or only its own."""
    found = NUMBERED.fullmatch(file)
    if found is None or not 0 < int(found["count"]) <= MOST_PARTS:
        return [file]
    count = int(found["count"])
    return [f"{found['stem']}-{i + 1:05}-of-{count:05}{found['end']}" for i in range(count)]


def whole_model(names: Iterable[str], repo: str) -> tuple[list[str], list[str]]:
    """(small files, weights or their index) of a folder that loads as it is.

    Both are empty when the repository holds single-file models only. Raises ModelNotFound.
    """
    there = set(names)
    small = [name for name in SIDE_FILES if name in there]
    weights = choose_weights(name for name in there if "/" not in name)
    if weights and "config.json" in there:
        return small, weights
    if first_parts(there):
        return [], []
    lacks = "config.json" if weights else "weights (*.safetensors, *.bin or *.pth)"
    raise ModelNotFound(f"{repo} is not a model that can be loaded: it has no {lacks}")


def first_parts(names: Iterable[str]) -> list[str]:
    """The models that are one file each, a split one by its first part."""
    endings = tuple(f".{name}" for name in known("quantizers"))
    found = sorted(name for name in names if name.lower().endswith(endings))
    return [name for name in found if all_parts(name)[0] == name]


def choices(repo: str, files: list[str]) -> str:
    """What can be named, as it is named."""
    listed = ", ".join(f"{repo}:{name}" for name in files[:SHOWN])
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return f"name one of {listed}{more}"
