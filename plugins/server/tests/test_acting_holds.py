"""A conversation whose model is generating keeps its tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from tramontane.agent import toolsets
from tramontane.errors import EngineBusy
from tramontane_plugin_server.acting import Acting
from tramontane_plugin_server.settings import Settings


def test_tools_are_held_from_a_requests_beginning_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolsets, "MOST_OPEN", 1)
    acting = Acting(Settings(tool_folder=tmp_path))
    acts = acting.begin("one", (), asks=False)
    with pytest.raises(EngineBusy):
        acting.begin("two", (), asks=False)
    acts.close()
    acting.begin("two", (), asks=False).close()
    acting.close()
