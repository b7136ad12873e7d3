"""Reasoning on, off, and how much, from the command line to the chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM
from tramontane.chat.thinking import thinking_variables
from tramontane.cli.chat import command
from tramontane.cli.conversation import Conversation
from tramontane.sampling_params import SamplingParams

from .conftest import Cli

# what the template was told is the length of the prompt
TEMPLATE = (
    "{% for m in messages %}{{ m.content }}{% endfor %}"
    "{% if enable_thinking is defined %}{{ 'on' if enable_thinking else 'off...' }}{% endif %}"
    "{% if reasoning_effort is defined %}{{ '.' * 10 }}{{ reasoning_effort }}{% endif %}"
)
ASK = ("run", "--device", "reference", "-n", "1", "--ignore-eos", "-i", "hello", "--json")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "thinking.jinja"
    path.write_text(TEMPLATE)
    return path


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), 0),
        (("--thinking",), len("on")),
        (("--no-thinking",), len("off...")),
        (("--reasoning-effort", "low"), len("on" + "." * 10 + "low")),
        (("--reasoning-effort", "off"), len("off...")),
        (("--reasoning-effort", "none", "--thinking"), len("on")),
        (("--reasoning-effort", "high", "--no-thinking"), len("off..." + "." * 10 + "high")),
    ],
)
def test_options_reach_the_template(
    run: Cli, model: Path, template: Path, options: tuple[str, ...], told: int
) -> None:
    status, out, err = run(*ASK, "-m", model, "--chat-template", template, *options)
    assert (status, err) == (0, "")
    assert f'"prompt_tokens": {len("hello") + told}' in out


def test_a_template_without_a_word_of_it_is_told_of(run: Cli, model: Path) -> None:
    status, _, err = run(*ASK, "-m", model, "--reasoning-effort", "low")
    assert status == 0
    assert "has no variable enable_thinking, so it has no effect" in err
    assert "has no variable reasoning_effort" in err


def test_plain_text_has_no_reasoning(run: Cli, model: Path) -> None:
    status, _, err = run(*ASK, "-m", model, "--no-template", "--no-thinking")
    assert status == 2
    assert "--no-template continues plain text" in err


def test_a_chat_changes_its_mind(
    model: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LLM(model, device="reference", chat_template=template) as llm:
        conversation = Conversation(llm, variables=thinking_variables("low"))
        params = SamplingParams(max_tokens=1)

        def think(value: str) -> dict[str, Any]:
            assert command(f"/think {value}", conversation, params) is params
            return conversation.variables

        assert think("") == {"enable_thinking": True, "reasoning_effort": "low"}
        assert think("off") == {"enable_thinking": False}
        assert think("high") == {"enable_thinking": True, "reasoning_effort": "high"}
        assert think("on") == {"enable_thinking": True}
        assert capsys.readouterr().out.split() == [
            word for state in ("low", "off", "high", "on") for word in ("(thinking:", f"{state})")
        ]
