"""Pictures that tools make: shown to models that see, and told to those that do not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tramontane import LLM, Agent
from tramontane.chat.chat_turn import SHOWN
from tramontane.tools import ToolResult

from .conftest import TEMPLATE, Scripted, call

SEEING = TEMPLATE.replace(
    "{{ message.content }}",
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>{% else %}"
    "{{ part.text }}{% endif %}{% endfor %}{% endif %}",
)


def picture(color: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (32, 32), color).save(data, "PNG")
    return data.getvalue()


def drawing(*images: bytes) -> Any:
    def draw() -> ToolResult:
        """Draw."""
        return ToolResult(text="drawn", images=images)

    return draw


def drawn_once(prompt: str) -> str:
    last = prompt.rpartition("Draw it.")[2]
    return "done" if "<|im_start|>tool" in last else call("draw")


def test_a_model_that_sees_is_shown_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.jinja").write_text(SEEING)
    with LLM("embedded-vision", device="reference", chat_template=tmp_path / "t.jinja") as llm:
        model, asked = Scripted(llm, drawn_once), []

        def results(requests: list[Any]) -> Any:
            asked.extend(requests)
            return model.results(requests)

        monkeypatch.setattr(llm, "_results", results)
        with Agent(
            llm, [drawing(picture("red"), picture("blue"))], approvals="auto", folder=tmp_path,
            session="s", store=tmp_path / "s.sqlite",
        ) as agent:  # fmt: skip
            agent.ask("Draw it.")
            shown = agent.messages[3]
            assert shown["role"] == "user"
            assert [part["type"] for part in shown["content"]] == ["image", "image", "text"]
            assert shown["content"][0]["image"].startswith("data:;base64,iVBOR")
            assert agent.ask("Draw it.").content == "done"
        counts = [0 if one.media is None else one.media.count("image") for one in asked]
        assert counts == [0, 32, 32, 64]  # tokens, 16 for each
        with Agent(
            llm, [drawing(b"no picture")], approvals="auto", folder=tmp_path
        ) as agent:  # fmt: skip
            assert agent.ask("Draw it.").content == "done"
            assert agent.messages[3]["content"].startswith(SHOWN)


def test_a_model_that_does_not_see_is_told_the_text(model: Scripted, folder: Path) -> None:
    model.answer = drawn_once
    with Agent(model.llm, [drawing(picture("red"))], approvals="auto", folder=folder) as agent:
        assert agent.ask("Draw it.").calls[0]["result"] == "drawn"
        assert [one["role"] for one in agent.messages] == ["user", "assistant", "tool", "assistant"]
