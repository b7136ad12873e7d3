"""Adapters that a `Runner` loads and unloads while it serves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tramontane.errors import TramontaneError

from .responses import (
    LoraAdapterError,
    LoraAdapterInfo,
    LoraResidentGenerationInfo,
    LoraRuntimeStatus,
)


class LoadedAdapters:
    """By alias, each with a digest of its files. Errors are LoraAdapterError with a `code`."""

    model: Any

    def __init__(self, named: list[str]) -> None:
        pairs = (text.partition("=") for text in named)
        self._infos = {alias: _info(alias, source) for alias, _, source in pairs}

    def load_lora_adapter(
        self,
        alias: str,
        adapter_dir: str,
        model_id: str | None = None,
        load_inplace: bool = False,
        expected_generation: str | None = None,
    ) -> LoraAdapterInfo:
        """Load one; load_inplace: in place of one of the same alias."""
        self._expect(alias, expected_generation)
        info = _info(alias, adapter_dir)
        try:
            self.model("text", model_id).load_adapter(alias, adapter_dir, replace=load_inplace)
        except TramontaneError as error:
            raise _error("load_failed", error.message) from error
        self._infos[alias] = info
        return info

    def unload_lora_adapter(
        self, alias: str, model_id: str | None = None, expected_generation: str | None = None
    ) -> LoraAdapterInfo:
        """Forget one."""
        self._expect(alias, expected_generation)
        try:
            self.model("text", model_id).unload_adapter(alias)
        except TramontaneError as error:
            raise _error("not_found", error.message) from error
        return self._infos.pop(alias)

    def list_lora_adapters(self, model_id: str | None = None) -> list[LoraAdapterInfo]:
        """Those that are loaded."""
        return list(self._infos.values())

    def lora_adapter_status(self, model_id: str | None = None) -> LoraRuntimeStatus:
        """Those that are loaded, and their sizes."""
        infos = self.list_lora_adapters(model_id)
        each = [
            LoraResidentGenerationInfo(i.generation, [i.alias], i.rank, i.bytes, False, 0)
            for i in infos
        ]
        return LoraRuntimeStatus(
            infos, each, len(each), 0, sum(i.bytes for i in infos), 16, 256, 8 << 30
        )

    def _expect(self, alias: str, generation: str | None) -> None:
        have = self._infos.get(alias)
        if generation is not None and (have is None or have.generation != generation):
            now = "not loaded" if have is None else have.generation
            raise _error("generation_mismatch", f"{alias} is {now}, not {generation}")


def _error(code: str, text: str) -> LoraAdapterError:
    found = LoraAdapterError(text)
    found.code = code
    return found


def _info(alias: str, source: str) -> LoraAdapterInfo:
    """What its files say; of a hub's, nothing is known before they are here."""
    folder = Path(source).expanduser()
    files = sorted(path for path in folder.glob("adapter*") if path.is_file())
    digest, size = hashlib.sha256(alias.encode() if not files else b""), 0
    for path in files:
        data = path.read_bytes()
        digest.update(data)
        size += len(data)
    rank = 0
    if (config := folder / "adapter_config.json").is_file():
        try:
            rank = int(json.loads(config.read_text("utf-8")).get("r", 0))
        except (ValueError, TypeError, AttributeError):
            rank = 0  # loading says what is wrong with it
    return LoraAdapterInfo(alias, source, None, digest.hexdigest(), rank, size)
