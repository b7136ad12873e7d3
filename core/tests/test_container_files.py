"""Containers that are known by their names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tramontane.checkpoint.checkpoint import Header
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.plugin import Quantizer
from tramontane.registry import Registry


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """One in which only `*.acme` and `acme.pt` are known; opening gives the path, and a header."""
    module = ModuleType("acme_files")
    header = Header(Path(), "acme", "hf", "Acme", {}, {})
    vars(module)["open"] = lambda path: SimpleNamespace(header=header, path=path)
    monkeypatch.setitem(sys.modules, "acme_files", module)
    found = Registry(only=())
    offer = Quantizer(name="acme", files=("*.acme", "acme.pt"), open="acme_files:open")
    monkeypatch.setattr(found, "all", lambda record: [offer])
    return found


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).write_bytes(b"{}")
    return path


@pytest.mark.parametrize(
    ("names", "opened"),
    [
        (("config.json", "a.acme", "rest.safetensors"), "a.acme"),
        (("config.json", "a-0.acme", "a-1.acme", "a-10.acme"), "a-0.acme"),
        (("config.json", "acme.pt"), "acme.pt"),
    ],
)
def test_a_folder_with_such_a_file_is_it(
    names: tuple[str, ...], opened: str, tmp_path: Path, registry: Registry
) -> None:
    found: Any = open_checkpoint(folder(tmp_path, *names), registry)
    again: Any = open_checkpoint(tmp_path / opened, registry)
    assert found.path == again.path == tmp_path / opened


def test_several_are_named(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(CheckpointError, match=r"several models; name one of a-0\.acme, b-0\.acme"):
        open_checkpoint(folder(tmp_path, "config.json", "a-0.acme", "b-0.acme"), registry)


def test_usual_weights_go_before(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(CheckpointError, match="architectures"):
        open_checkpoint(folder(tmp_path, "config.json", "a.acme", "model.safetensors"), registry)
