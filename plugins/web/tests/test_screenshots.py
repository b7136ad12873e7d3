"""Pictures of the page for docs/web.md. They are written again by

    TRAMONTANE_SCREENSHOTS=docs/web python -m pytest plugins/web/tests/test_screenshots.py

and the full run makes them in a folder of its own. The answers in them are this file's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Open
from .scripted import answered, say
from .stub_server import Stub, model, stub

WANTED = os.environ.get("TRAMONTANE_SCREENSHOTS")
pytestmark = pytest.mark.skipif(
    os.environ.get("TRAMONTANE_FULL") != "1" and not WANTED,
    reason="neither TRAMONTANE_FULL nor TRAMONTANE_SCREENSHOTS is set",
)
MOST = 150_000
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
TITLES = ("Names for a sailing boat", "Why is the sky blue?", "A letter to the landlord")
ANSWER = r"""Three orbits, with their periods from Kepler's third law, $T = 2\pi\sqrt{a^3/GM}$:

| Orbit | Height | Period |
|:--|--:|--:|
| Space station | 420 km | 1.5 h |
| GPS | 20,200 km | 12 h |
| Geostationary | 35,786 km | 23.9 h |

```python
from math import pi, sqrt

GM, EARTH = 3.986e14, 6.378e6

def period(height_km: float) -> float:
    "Hours for one round."
    return 2 * pi * sqrt((EARTH + height_km * 1e3) ** 3 / GM) / 3600
```

The **higher** the orbit, the longer the path *and* the slower the satellite."""
CALL = {"id": "c1", "name": "python", "arguments": '{"code": "print(round(period(420), 2))"}'}


def shoot(page: Any, folder: Path, name: str) -> None:
    page.wait_for_timeout(400)
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    assert path.stat().st_size < MOST


def chat(server: Stub, page: Any, question: str, *deltas: Any) -> None:
    count = page.locator(".message.assistant").count()
    say(page, question)
    server.say(*deltas)
    server.end()
    answered(page, count + 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path if WANTED is None else Path(WANTED)
    found.mkdir(exist_ok=True)
    return found


def words(text: str) -> list[str]:
    return [text[at : at + 8] for at in range(0, len(text), 8)]


@pytest.mark.parametrize("dark", [False, True])
def test_a_chat_on_a_desktop(open_page: Open, folder: Path, dark: bool) -> None:
    with stub() as server:
        server.models = [model("qwen3-8b"), model("flux", "image")]
        page = open_page(server.url, color_scheme="dark" if dark else "light")
        for title in TITLES:
            page.get_by_role("button", name="New chat").first.click()
            chat(server, page, title, "Gladly.")
        page.get_by_role("button", name="New chat").first.click()
        thought = {"reasoning_content": "Kepler's third law gives the periods."}
        chat(server, page, "How long do satellites take?", thought, *words(ANSWER))
        page.evaluate("document.querySelector('main').scrollTop = 0")
        shoot(page, folder, "dark" if dark else "desktop")


def test_a_call_that_asks_on_a_phone(open_page: Open, folder: Path) -> None:
    with stub() as server:
        server.models = [model("qwen3-8b")]
        server.tools = [{"name": "python", "description": "Runs code.", "approval": "ask"}]
        page = open_page(server.url, **PHONE)
        chat(server, page, "How long do satellites take?", *words(ANSWER[:330].rpartition("\n")[0]))
        say(page, "Check the first one, please")
        server.say({"server_tool": {"type": "approval", **CALL}})
        page.get_by_role("button", name="Deny").wait_for()
        shoot(page, folder, "phone")
