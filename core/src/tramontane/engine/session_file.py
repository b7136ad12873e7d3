"""Saved sessions: the tokens, keys and values of a conversation in one safetensors file.

Metadata holds a JSON object: format version, the model's fingerprint, tokens and messages. A
session can be loaded only with the model that it was saved with.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tramontane.checkpoint.load import KV_TYPES
from tramontane.checkpoint.safetensors_damage import damage
from tramontane.errors import SessionError

from .kv_cache import kept_width
from .kv_shapes import kv_shapes
from .snapshot import Snapshot
from .state_cache import state_shapes

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

VERSION = 1
LIMIT = 1 << 20
"""Maximum number of tokens."""


@dataclass(frozen=True)
class Session:
    """A conversation, and its keys and values as far as they were computed."""

    messages: tuple[Mapping[str, Any], ...]
    snapshot: Snapshot | None


def fingerprint(model: LoadedModel) -> str:
    """A hash of the architecture, its configuration, all tensors' names and shapes, the cache's
    dtype, and a sample of the weights."""
    digest = hashlib.sha256()
    header = model.header
    facts = {
        "architecture": header.architecture,
        "config": model.loaded.config.model_dump(mode="json"),
        "tensors": {n: [list(i.shape), i.stored] for n, i in sorted(header.tensors.items())},
        "dtype": str(model.loaded.kv_dtype) if kv_shapes(model.loaded.model) else None,
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    norm = model.loaded.model.model.norm.weight.detach().float()
    for tensor in (model.loaded.sample, norm):
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def save(path: Path, session: Session, model: LoadedModel) -> None:
    """Write a session atomically. Raises SessionError."""
    tensors: dict[str, torch.Tensor] = {}
    tokens: tuple[int, ...] = ()
    if session.snapshot is not None:
        tokens = session.snapshot.tokens
        for index, (keys, values) in enumerate(session.snapshot.layers):
            tensors[f"keys.{index}"] = keys.contiguous()
            tensors[f"values.{index}"] = values.contiguous()
        for count, states in session.snapshot.states.items():
            for index, state in enumerate(states):
                tensors[f"state.{count}.{index}"] = state
    tensors["tokens"] = torch.tensor(tokens, dtype=torch.int64)
    metadata = {
        "version": VERSION,
        "fingerprint": fingerprint(model),
        "kv_type": model.loaded.report.kv_dtype,
        "messages": [dict(message) for message in session.messages],
        "adapters": session.snapshot.adapters.hex() if session.snapshot is not None else "",
    }
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        save_file(tensors, temporary, {"tramontane_session": json.dumps(metadata)})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        Path(temporary).unlink(missing_ok=True) if temporary else None
        # not the error's own text: it names the temporary file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SessionError(f"cannot save the session to {path}: {reason}") from error


def read(path: Path, model: LoadedModel) -> Session:
    """Read a session that was saved with this model. Raises SessionError."""
    if not path.exists():
        raise SessionError(f"no such session: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("tramontane_session", "null"))
            _check(path, metadata, model)
            tokens = tuple(file.get_tensor("tokens")[:LIMIT].tolist())
            pairs = tuple(
                (file.get_tensor(f"keys.{index}"), file.get_tensor(f"values.{index}"))
                for index in range(len(kv_shapes(model.loaded.model)) if tokens else 0)
            )
            states = _read_states(file, len(tokens), model)
            adapters = bytes.fromhex(metadata.get("adapters", ""))
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise SessionError(f"{path} is not a complete session file: {damage(error)}") from error
    for pair, (heads, *widths) in zip(pairs, kv_shapes(model.loaded.model), strict=False):
        for tensor, width in zip(pair, widths, strict=True):
            stored = kept_width(width, model.loaded.kv_dtype)
            if tuple(tensor.shape) != (len(tokens), heads, stored):
                raise SessionError(f"{path} is damaged: its tensors do not fit its tokens")
    snapshot = Snapshot(tokens, pairs, states, adapters) if tokens else None
    return Session(tuple(metadata["messages"]), snapshot)


def _read_states(file: Any, length: int, model: LoadedModel) -> dict[int, tuple[torch.Tensor, ...]]:
    """The states after some numbers of tokens. Raises ValueError for what does not fit."""
    layers = state_shapes(model.loaded.model).values()
    shapes = [shape for layer in layers for shape in layer.values()]
    counts = {int(name.split(".")[1]) for name in file.keys() if name.startswith("state.")}  # noqa: SIM118
    found = {
        count: tuple(file.get_tensor(f"state.{count}.{i}") for i in range(len(shapes)))
        for count in sorted(counts, reverse=True)
        if shapes and 0 < count <= length
    }
    for states in found.values():
        if [tuple(state.shape) for state in states] != shapes:
            raise ValueError("its states do not fit the model")
    if shapes and length not in found:
        raise ValueError("it has no states")
    return found


def _check(path: Path, metadata: Any, model: LoadedModel) -> None:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("messages"), Sequence):
        raise SessionError(f"{path} is not a session file of Tramontane")
    if metadata.get("version") != VERSION:
        raise SessionError(
            f"{path} has session format {metadata.get('version')!r}; this version reads {VERSION}"
        )
    before, now = metadata.get("kv_type"), model.loaded.report.kv_dtype
    if before in KV_TYPES.values() and before != now and kv_shapes(model.loaded.model):
        short = next(short for short, name in KV_TYPES.items() if name == before)
        raise SessionError(
            f"{path} has keys and values in {before}, and this model has them in {now}: give "
            f"--kv-type {short}"
        )
    if metadata.get("fingerprint") != fingerprint(model):
        raise SessionError(f"{path} was saved with another model, or another --kv-type")
