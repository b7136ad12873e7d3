"""A folder as peft has it: one adapter, or an X-LoRA."""

from __future__ import annotations

from pathlib import Path

from tramontane.adapters.stored import StoredAdapter
from tramontane.adapters.stored_mixture import StoredMixture

from .peft import read_lora
from .xlora import read_xlora
from .xlora_config import is_xlora


def read_peft(
    path: Path, *, order: Path | None = None, inside: bool = False
) -> StoredAdapter | StoredMixture:
    """A folder's adapter, or that of a folder by one of its files. order, inside: of an X-LoRA, see
    `read_xlora`.

    Raises AdapterError, CheckpointError.
    """
    if is_xlora(path if path.is_dir() else path.parent):
        return read_xlora(path, order=order, inside=inside)
    return read_lora(path)
