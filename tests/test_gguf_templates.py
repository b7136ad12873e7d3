"""Which of a GGUF file's chat templates writes a chat, and what stands in front of it."""

from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.tokenizer.files import from_folder
from tramontane_quant_gguf.sample import write_sample

from .tiny import write_tokenizer

PLAIN, FOR_TOOLS = "tokenizer.chat_template", "tokenizer.chat_template.tool_use"
MESSAGES = "{% for m in messages %}{{ m.role }}:{{ m.content }} {% endfor %}"
WITH_TOOLS = (
    "{% for t in tools %}[{{ t.function.name }}]{% endfor %}{% for m in messages %}"
    "{{ m.role }}:{{ m.content }}{% for c in m.tool_calls %}<tool_call>"
    "{{ c.function|tojson }}</tool_call>{% endfor %} {% endfor %}"
)
HI = [{"role": "user", "content": "hi"}]
NOW = [{"type": "function", "function": {"name": "now"}}]
CALLED: list[dict[str, Any]] = [
    *HI,
    {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "a", "content": "5"},
]
CALL = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'


def opened(folder: Path, changes: dict[str, Any], **options: Any) -> LLM:
    return LLM(write_sample(folder, changes), **options)


def test_the_one_for_tools_writes_chats_with_tools_or_calls(tmp_path: Path) -> None:
    changes = {PLAIN: MESSAGES, FOR_TOOLS: WITH_TOOLS, "tokenizer.chat_templates": ["tool_use"]}
    llm = opened(tmp_path, changes)
    try:
        assert llm.inner.render(HI) == "user:hi "
        assert llm.inner.render(HI, tools=NOW) == "[now]user:hi "
        assert llm.inner.render(CALLED) == f"user:hi assistant:{CALL} tool:5 "
        assert llm.inner.dialect.caller is not None
        assert llm.inner.dialect.caller.name == "hermes"
        said = llm.chat("hi", SamplingParams(max_tokens=1), tools=[now])
        assert said.choices[0].usage.prompt_tokens == len(llm.tokenize("[now]user:hi "))
    finally:
        llm.close()


def now() -> str:
    """The time."""
    return "12:00"


def test_where_there_is_no_other_it_writes_all(tmp_path: Path) -> None:
    llm = opened(
        tmp_path, {PLAIN: None, FOR_TOOLS: WITH_TOOLS.replace("in tools", "in tools or []")}
    )
    try:
        assert llm.inner.render(HI) == "user:hi "
        assert llm.inner.render(HI, tools=NOW) == "[now]user:hi "
    finally:
        llm.close()


def test_a_template_of_the_users_is_for_both(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jinja"
    mine.write_text("mine")
    llm = opened(tmp_path, {PLAIN: MESSAGES, FOR_TOOLS: WITH_TOOLS}, chat_template=mine)
    try:
        assert llm.inner.render(HI) == llm.inner.render(HI, tools=NOW) == "mine"
    finally:
        llm.close()


@pytest.mark.parametrize(
    ("template", "add_bos", "count"),
    [
        ("{{ bos_token }}" + MESSAGES, True, 1),
        (MESSAGES, True, 1),
        ("{{ bos_token }}" + MESSAGES, False, 1),
        (MESSAGES, False, 0),
    ],
)
def test_a_file_that_says_so_has_bos_in_front_of_chats_once(
    template: str, add_bos: bool, count: int, tmp_path: Path
) -> None:
    llm = opened(tmp_path, {PLAIN: template, "tokenizer.ggml.add_bos_token": add_bos})
    try:
        ids = llm.inner.encode_chat(HI)
        assert ids[:count] == (1,) * count
        assert 1 not in ids[count:]
        said = llm.chat(HI, SamplingParams(max_tokens=1))
        assert said.choices[0].usage.prompt_tokens == len(ids)
    finally:
        llm.close()


def test_in_a_folder_it_is_the_templates_to_write(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text('{"bos_token": "<|start|>", "add_bos_token": true}')
    tokenizer = from_folder(tmp_path)
    assert tokenizer.encode("hi")[0] == tokenizer.bos_id
    assert tokenizer.encode_chat("hi") == tokenizer.encode("hi", add_special=False)
