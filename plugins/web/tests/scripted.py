"""Answers that a test writes, in place of a model's, and what is done in every page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "default"}
CHAT = "**/v1/chat/completions"


def events(deltas: Iterable[Mapping[str, Any]], reason: str = "stop") -> str:
    """The stream of an answer."""
    deltas = list(deltas)
    chunks = [{**HEAD, "choices": [{"index": 0, "delta": each, "finish_reason": None}]}
              for each in deltas]  # fmt: skip
    chunks.append({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    used = {"prompt_tokens": 20, "completion_tokens": len(deltas), "total_tokens": 20 + len(deltas)}
    chunks.append({**HEAD, "choices": [], "usage": used})
    return "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"


def answers(page: Page, *texts: str, **more: Any) -> list[Any]:
    """The next requests of a page are answered with these texts; returns their bodies as they come.

    more: of a delta, after each text.
    """
    left, asked = list(texts), []

    def fulfil(route: Route) -> None:
        asked.append(route.request.post_data_json)
        text = left.pop(0) if len(left) > 1 else left[0]
        parts = [{"content": text[at : at + 40]} for at in range(0, len(text), 40)]
        body = events([*parts, more] if more else parts)
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    page.unroute(CHAT)
    page.route(CHAT, fulfil)
    return asked


def say(page: Page, text: str) -> None:
    """Write a message and send it."""
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send").click()


def answered(page: Page, count: int = 1) -> None:
    """Wait until so many answers are complete."""
    page.wait_for_function(
        "count => document.querySelectorAll('.message.assistant .actions').length === count"
        " && !document.querySelector('[data-writing]')",
        arg=count,
    )


def shows(page: Page, text: str) -> None:
    """Wait until a message has this text."""
    page.locator(".message").get_by_text(text, exact=True).wait_for()


def last(page: Page) -> Any:
    """The last answer."""
    return page.locator(".message.assistant").last
