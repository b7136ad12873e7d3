"""An architecture's own reading of a container's metadata."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tramontane.checkpoint.checkpoint import Header
from tramontane.checkpoint.metadata import fields_of
from tramontane.errors import CheckpointError, PluginBroken
from tramontane.plugin import Architecture

HEADER = Header(
    Path("m.acme"), "acme", "acme", "A", {"decay": 1, "width": 2}, {}, {"a.decay": 0.5, "a.x": 3}
)


def read(metadata: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType("acme_metadata")
    vars(module)["metadata"] = metadata
    monkeypatch.setitem(sys.modules, "acme_metadata", module)
    offer = Architecture(name="A", config="", model="", metadata="acme_metadata:metadata")
    return fields_of(offer, HEADER)


def test_a_mapping_names_keys_and_fields() -> None:
    offer = Architecture(name="A", config="", model="", metadata={"a.decay": "decay", "a.y": "y"})
    assert fields_of(offer, HEADER) == {"decay": 0.5, "width": 2}


@pytest.mark.parametrize(
    "metadata",
    [
        {"a.x": "width"},
        lambda metadata: {"width": metadata["a.x"]},
        lambda metadata, config: {"width": config["width"] + 1},
    ],
)
def test_a_target_is_a_mapping_or_a_function(
    metadata: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(metadata, monkeypatch) == {"decay": 1, "width": 3}


def test_errors_name_file_or_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        CheckpointError, match=r"m.acme: A cannot read its metadata: KeyError\('z'\)"
    ):
        read(lambda metadata: metadata["z"], monkeypatch)
    with pytest.raises(PluginBroken, match="gives int; it must give a mapping"):
        read(lambda metadata: 7, monkeypatch)
