"""A live server with the embedded model, and what is checked after every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .live_server import Live


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    from .live_server import serving  # conftest itself may be loaded outside its package

    with serving(tmp_path_factory.mktemp("server")) as live:
        yield live


@pytest.fixture(scope="session")
def thinking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    from .live_server import serving

    template = Path(__file__).with_name("thinking.jinja")
    folder = tmp_path_factory.mktemp("thinking")
    with serving(folder, "--chat-template", str(template)) as live:
        yield live


@pytest.fixture
def thinking(thinking_server: Live) -> Iterator[Live]:
    """A server whose template has places for tools and for reasoning."""
    yield thinking_server
    thinking_server.idle()


@pytest.fixture
def live(shared_server: Live) -> Iterator[Live]:
    """The server; afterwards nothing of this test's runs there any longer."""
    yield shared_server
    shared_server.idle()
