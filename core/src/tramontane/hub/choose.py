"""Select a model's files in a repository: never code, never another framework's weights."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from tramontane.checkpoint.weight_files import (
    PARTS_INDEX,
    choose_weights,
    is_index,
    names_encoder,
)
from tramontane.errors import ModelNotFound
from tramontane.registry import known

from .name import HubName

SIDE_FILES = (
    "config.json", "generation_config.json", "quantize_config.json", "quant_config.json",
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "tekken.json",
    "rwkv_vocab_v20230424.txt",
    "chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja",
    "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json",
)  # fmt: skip
"""Small files, downloaded first, so that an interrupted download lacks only weights."""

MODULES = "modules.json"
"""What tells a repository of sentence-transformers."""
OF_MODULES = (MODULES, "sentence_bert_config.json", "config_sentence_transformers.json")
OF_A_MODULE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors|pytorch_model\.bin)")
ADAPTER = "adapter_config.json"
"""The file that tells a repository of an adapter, as peft makes them."""
MIXTURE = ("xlora_config.json", "xlora_classifier.safetensors")
"""Those that tell one of an X-LoRA, whose adapters are in folders of their own."""
OF_A_PART = (".json", ".txt", ".model")
"""Endings of a part's small files: settings and tokenizers."""
DEEPEST = 2
"""Folders within each other in which an adapter may be."""
NUMBERED = re.compile(r"(?P<stem>.*)-\d{5}-of-(?P<count>\d{5})(?P<end>\.[A-Za-z0-9]+)")
MOST_PARTS = 4096
SHOWN = 12


def one_file(names: Iterable[str], asked: HubName) -> list[str]:
    """The file, or all parts if it is one part of a split file. Raises ModelNotFound."""
    existing = set(names)
    parts = all_parts(asked.file or "")
    missing = [part for part in parts if part not in existing]
    if not missing:
        return parts
    if asked.file in existing:
        raise ModelNotFound(f"{asked.repo} lacks {missing[0]}, a part of {asked.file}")
    message = f"{asked.repo} has no file {asked.file}"
    folded = {name.lower(): name for name in sorted(existing)}
    if close := difflib.get_close_matches((asked.file or "").lower(), folded, 1, 0.7):
        raise ModelNotFound(f"{message}; did you mean {asked.repo}:{folded[close[0]]}?")
    others = first_parts(existing)
    shown = choices(asked.repo, others) if others else "it has no single-file models"
    raise ModelNotFound(f"{message}; {shown}")


def all_parts(file: str) -> list[str]:
    """The names of all parts of a split file, or the file's own name if it is not split."""
    match = NUMBERED.fullmatch(file)
    if match is None or not 0 < int(match["count"]) <= MOST_PARTS:
        return [file]
    count = int(match["count"])
    return [f"{match['stem']}-{i + 1:05}-of-{count:05}{match['end']}" for i in range(count)]


def whole_model(names: Iterable[str], repo: str) -> tuple[list[str], list[str]]:
    """(small files, weights or their index) of a repository that loads as a folder.

    Both are empty if the repository has only single-file models. Raises ModelNotFound.
    """
    existing = set(names)
    if PARTS_INDEX in existing:
        return _parts(existing)
    small = [name for name in SIDE_FILES if name in existing]
    if MODULES in existing:
        small += [name for name in OF_MODULES if name in existing]
        small += _of_modules(existing)
    weights = choose_weights(name for name in existing if "/" not in name)
    if weights and "config.json" in existing:
        return small, weights
    if existing & {*MIXTURE}:
        return _mixture(existing)
    if ADAPTER in existing and (weights := [name for name in weights if "adapter" in name]):
        return [ADAPTER], weights
    if first_parts(existing):
        return [], []
    lacks = "config.json" if weights else "weights (*.safetensors, *.bin or *.pth)"
    raise ModelNotFound(f"{repo} is not a model that can be loaded: it has no {lacks}")


def _parts(existing: set[str]) -> tuple[list[str], list[str]]:
    """The index and all small files of the folders, and their weights or indices of them; what lies
    beside the folders, such as all parts in one file, is left."""
    inside: dict[str, set[str]] = {}
    for folder, _, file in (name.rpartition("/") for name in existing):
        if folder and "/" not in folder:
            inside.setdefault(folder, set()).add(file)
    small, weights = [PARTS_INDEX], []
    for folder, files in sorted(inside.items()):
        small += [
            f"{folder}/{file}" for file in sorted(files)
            if file.endswith(OF_A_PART) and not is_index(file)
        ]  # fmt: skip
        weights += [f"{folder}/{file}" for file in choose_weights(files)]
    return small, weights


def _mixture(existing: set[str]) -> tuple[list[str], list[str]]:
    """An X-LoRA's settings, and its classifier and adapters."""
    small = [name for name in (ADAPTER, MIXTURE[0]) if name in existing]
    weights = [MIXTURE[1]] if MIXTURE[1] in existing else []
    for name in sorted(existing):
        folder, _, file = name.rpartition("/")
        if file == ADAPTER and folder and folder.count("/") < DEEPEST:
            small.append(name)
            kept = (f"{folder}/adapter_model{end}" for end in (".safetensors", ".bin"))
            weights += [each for each in kept if each in existing][:1]
    return small, weights


def _of_modules(existing: set[str]) -> list[str]:
    """The files of modules behind the model itself, in folders of their own, `1_Pooling`."""
    found = sorted(name for name in existing if OF_A_MODULE.fullmatch(name))
    both = {name.rpartition("/")[0] for name in found if name.endswith(".safetensors")}
    return [n for n in found if not (n.endswith(".bin") and n.rpartition("/")[0] in both)]


def first_parts(names: Iterable[str]) -> list[str]:
    """The single-file models, a split one by its first part; without encoders of images."""
    endings = tuple(f".{name}" for name in known("quantizers"))
    models = sorted(
        name for name in names if name.lower().endswith(endings) and not names_encoder(name)
    )
    return [name for name in models if all_parts(name)[0] == name]


def choices(repo: str, files: list[str]) -> str:
    """A hint that lists the files in the form that `-m` accepts."""
    listed = ", ".join(f"{repo}:{name}" for name in files[:SHOWN])
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return f"name one of {listed}{more}"
