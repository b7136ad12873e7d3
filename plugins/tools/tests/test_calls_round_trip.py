"""What a model would write for any arguments is read back as these arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tramontane.answers import Dialect
from tramontane.chat import ChatTemplate
from tramontane.registry import Registry
from tramontane.tools import Tool

from .syntaxes import SYNTAXES, calls, dumped, read

TEMPLATES = Path(__file__).parents[4] / "shared/data/chat_templates/llama.cpp"
OPTIONAL: Any = {"anyOf": [{"type": "string"}, {"type": "null"}]}
PARAMETERS: Any = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "code": OPTIONAL,
        "unit": {"enum": ["1", "true", "C"]},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "loud": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "about": {"type": "object"},
    },
}
TOOL = Tool(name="set_all", parameters=PARAMETERS)
PIECES = ["90210", "true", "null", '"', "'", "\\", "\n", "\n\n", " ", "{", "}", "[", "]", "a", "é",
          "</b>", "<parameter>", "</function", "<", "\U0001f600", ":", ",", "="]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
NO_NULL = TEXTS.filter(lambda text: text.strip() not in ("null", "None"))
INNER = st.dictionaries(st.sampled_from(["a", "b"]), st.integers() | TEXTS, max_size=2)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        "code": NO_NULL | st.none(),
        "unit": st.sampled_from(PARAMETERS["properties"]["unit"]["enum"]),
        "count": st.integers(),
        "share": st.floats(allow_nan=False, allow_infinity=False),
        "loud": st.booleans(),
        "tags": st.lists(TEXTS, max_size=2),
        "about": INNER,
    },
)


@pytest.mark.parametrize("name", list(SYNTAXES))
@settings(max_examples=25, deadline=None)
@given(first=ARGUMENTS, second=ARGUMENTS)
def test_any_arguments(name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    text = SYNTAXES[name].write(("set_all", first), ("set_all", second))
    answer = read(name, text, [TOOL])
    assert (calls(answer), answer.content) == ([("set_all", first), ("set_all", second)], "")


FILES = [
    "GLM-4.6", "GLM-4.7-Flash", "MiniMax-M2", "Qwen3-Coder", "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "deepseek-ai-DeepSeek-V3.2", "Qwen-Qwen3-0.6B",
]  # fmt: skip
GIVEN = [
    {},
    {"text": "90210", "code": "true", "unit": "1"},
    {"text": '{"a": 1}\n', "code": "x", "count": 3, "share": 0.5, "loud": False},
    {"text": "<job>\n  <parameter>1</parameter>\n</job>", "tags": ["a", '"'], "about": {"a": [1]}},
    {"text": "\n\nfrom x import y\n", "code": '"quoted"'},
]


@pytest.mark.parametrize("given", GIVEN, ids=dumped)
@pytest.mark.parametrize("file", FILES)
def test_a_call_as_the_model_s_own_template_writes_it(file: str, given: dict[str, Any]) -> None:
    path = TEMPLATES / f"{file}.jinja"
    if not path.exists():
        pytest.skip(f"no template at {path}")
    source = path.read_text("utf-8")
    template = ChatTemplate(source, named={"bos_token": "", "eos_token": ""})
    dialect = Dialect.of(Registry(), source)
    assert dialect.caller is not None
    tools = [{"type": "function", "function": {
        "name": "set_all", "description": "", "parameters": PARAMETERS}}]  # fmt: skip
    function = {"name": "set_all", "arguments": dumped(given)}
    chat = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "functions.set_all:0", "type": "function", "function": function}]},
    ]  # fmt: skip
    written = str(template.render(chat, tools=tools))
    written = written[written.rindex(dialect.caller.opening) :]
    answer = read(dialect.caller.name, written, [TOOL])
    assert calls(answer) == [("set_all", given)], written
