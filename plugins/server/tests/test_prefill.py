"""An answer that begins with given words: every real template, compared with transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tramontane.chat import ChatTemplate
from tramontane.errors import TramontaneError
from tramontane_plugin_server.anthropic.prefill import prefilled_prompt
from tramontane_plugin_server.http.errors import ApiError
from transformers.utils.chat_template_utils import render_jinja_template

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "chat_templates" / "llama.cpp"
NAMED = {"bos_token": "<s>", "eos_token": "</s>"}
CHAT = [
    {"role": "user", "content": "Name a colour"},
    {"role": "assistant", "content": "Of all colours,\nI like"},
]


def expected(source: str) -> str | None:
    """What transformers writes, or None where it cannot."""
    try:
        (text,), _ = render_jinja_template(
            [CHAT], chat_template=source, continue_final_message=True, add_generation_prompt=False,
            **NAMED,
        )  # fmt: skip
    except Exception:  # noqa: BLE001 - a template may refuse with anything
        return None
    return str(text)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.jinja")), ids=lambda path: path.stem)
def test_real_templates(path: Path) -> None:
    source = path.read_text()
    theirs = expected(source)
    try:
        ours = prefilled_prompt(ChatTemplate(source, named=NAMED).render, CHAT)
    except TramontaneError:
        assert theirs is None
        return
    assert ours == theirs
    assert ours.endswith("I like")


def test_there_are_real_templates() -> None:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    assert len(list(DATA.glob("*.jinja"))) > 40


@pytest.mark.parametrize(
    ("source", "text", "written"),
    [
        ("{% for m in messages %}<{{ m.content }}>{% endfor %}", "a ", "<q><a "),
        ("{% for m in messages %}<{{ m.content | trim }}>{% endfor %}", " a ", "<q><a "),
        ("{% for m in messages %}<{{ m.content }}>{% endfor %}", "", "<q><"),
        ("{% for m in messages %}<{{ m.content }}>{% endfor %}", "q><", "<q><q><"),
        ("{% for m in messages %}<{{ m.content }}{{ m.content }}>{% endfor %}", "a", None),
        ("{% for m in messages %}<{{ m.content | upper }}>{% endfor %}", "a", None),
        ("{{ messages[0].content }}", "a", None),
    ],
)
def test_what_a_template_does_to_the_text(source: str, text: str, written: str | None) -> None:
    template = ChatTemplate(source, named={})
    chat: list[dict[str, Any]] = [{"role": "user", "content": "q"}]
    chat.append({"role": "assistant", "content": text})
    if written is None:
        with pytest.raises(ApiError, match="cannot begin an answer"):
            prefilled_prompt(template.render, chat)
    else:
        assert prefilled_prompt(template.render, chat) == written
