"""Settings of special tokens from the files beside a vocabulary.

tokenizer_config.json first, special_tokens_map.json for keys that it lacks; end-of-answer ids from
generation_config.json, or else config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken

from tramontane.errors import CheckpointError

from .json_file import read_if_there

ROLES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class SideFiles:
    """named: texts of the roles that are set; silent: roles that no file mentions.
    add_bos, add_eos, legacy, add_prefix_space: None if no file sets them."""

    named: dict[str, str]
    silent: frozenset[str]
    bos_ids: tuple[int, ...]
    eos_ids: tuple[int, ...]
    add_bos: bool | None
    add_eos: bool | None
    legacy: bool | None
    add_prefix_space: bool | None
    tokenizer_class: str
    added: tuple[tuple[int, AddedToken], ...]


def read_side_files(folder: Path) -> SideFiles:
    """Read the files. Raises CheckpointError if one is damaged or a value has the wrong type."""
    path = folder / "tokenizer_config.json"
    config = read_if_there(path)
    roles = read_if_there(folder / "special_tokens_map.json") | config
    generation = read_if_there(folder / "generation_config.json")
    model = read_if_there(folder / "config.json")
    inner = model.get("text_config")
    model = (inner if isinstance(inner, dict) else {}) | model
    named = {}
    for role in ROLES:
        if (text := _token_text(roles.get(role), role, path)) is not None:
            named[role] = text
    tokenizer_class = config.get("tokenizer_class")
    return SideFiles(
        named=named,
        silent=frozenset(role for role in ROLES if role not in roles),
        bos_ids=_ids(model, "bos_token_id", folder / "config.json"),
        eos_ids=_ids(generation, "eos_token_id", folder / "generation_config.json")
        or _ids(model, "eos_token_id", folder / "config.json"),
        add_bos=_flag(config, "add_bos_token", path),
        add_eos=_flag(config, "add_eos_token", path),
        legacy=_flag(config, "legacy", path),
        add_prefix_space=_flag(config, "add_prefix_space", path),
        tokenizer_class=tokenizer_class if isinstance(tokenizer_class, str) else "",
        added=_added(config.get("added_tokens_decoder"), path)
        or _added_by_text(read_if_there(folder / "added_tokens.json"), folder, named),
    )


def add_tokens(inner: tokenizers.Tokenizer, side: SideFiles) -> None:
    """Add the tokens that the vocabulary's file lacks, with their ids.

    Raises CheckpointError if one would get another id.
    """
    known = inner.get_added_tokens_decoder()
    for index, token in sorted(side.added, key=lambda pair: pair[0]):
        if index in known:
            continue
        if token.special:
            inner.add_special_tokens([token])
        else:
            inner.add_tokens([token])
        actual = inner.token_to_id(token.content)
        if actual != index:
            raise CheckpointError(
                f"added token {token.content!r} should have id {index}, but the vocabulary makes"
                f" it {actual}; tokenizer_config.json and the vocabulary do not belong together"
            )


def _token_text(value: Any, role: str, path: Path) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    if text is not None and not isinstance(text, str):
        raise CheckpointError(f"{path}: {role} should be a text, not {text!r:.80}")
    return text


def _flag(config: Mapping[str, Any], key: str, path: Path) -> bool | None:
    value = config.get(key)
    if value is not None and not isinstance(value, bool):
        raise CheckpointError(f"{path}: {key} should be true or false, not {value!r:.80}")
    return value


def _ids(config: Mapping[str, Any], key: str, path: Path) -> tuple[int, ...]:
    value = config.get(key)
    ids = value if isinstance(value, list) else [] if value is None else [value]
    for index in ids:
        if not isinstance(index, int) or isinstance(index, bool):
            raise CheckpointError(f"{path}: {key} should be token ids, not {value!r:.80}")
    return tuple(index for index in ids if index >= 0)


def _added(value: Any, path: Path) -> tuple[tuple[int, AddedToken], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: added_tokens_decoder should be an object")
    added = []
    for key, token in value.items():
        if not key.isdecimal() or not isinstance(token, dict) or "content" not in token:
            raise CheckpointError(f"{path}: added_tokens_decoder has {key!r:.40}: {token!r:.80}")
        text = _token_text(token, f"added token {key}", path)
        flags = {
            name: bool(token.get(name, False))
            for name in ("single_word", "lstrip", "rstrip", "normalized", "special")
        }
        if text:
            added.append((int(key), AddedToken(text, **flags)))
    return tuple(added)


def _added_by_text(
    value: Mapping[str, Any], folder: Path, named: Mapping[str, str]
) -> tuple[tuple[int, AddedToken], ...]:
    """added_tokens.json, the older format: text to id, without flags for special tokens."""
    added = []
    for text, index in value.items():
        if not isinstance(index, int) or isinstance(index, bool) or not text:
            raise CheckpointError(
                f"{folder / 'added_tokens.json'}: {text!r:.40} has id {index!r:.80}"
            )
        special = text in named.values()
        added.append((index, AddedToken(text, normalized=False, special=special)))
    return tuple(added)
