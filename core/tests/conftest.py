"""Set-up for core's tests: a hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from tramontane.hub.options import HubOptions

from .fake_hub import FakeHub, serving
from .hub_repos import REPOS


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """The only hub that downloads can reach, with nobody logged in."""
    with serving(FakeHub({repo: dict(files) for repo, files in REPOS.items()})) as hub:
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def options(tmp_path: Path) -> HubOptions:
    """Downloads go into a cache of their own."""
    return HubOptions(cache_dir=tmp_path / "cache")
