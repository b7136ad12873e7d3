"""Which tool caller and reasoning splitter a chat template has."""

from __future__ import annotations

from pathlib import Path

import pytest
from tramontane.answers import Answer, Content, Dialect, Reasoning
from tramontane.errors import PluginNotInstalled
from tramontane.registry import Registry
from tramontane.tools import Tool

TEMPLATES = Path(__file__).parents[4] / "shared/data/chat_templates/llama.cpp"
WEATHER = Tool(name="get_weather", parameters={"properties": {"city": {"type": "string"}}})
CHOSEN = {
    "Apertus-8B-Instruct": ("json", None),
    "GLM-4.7-Flash": ("glm", "think"),
    "Kimi-K2-Thinking": ("kimi-k2", "think"),
    "LFM2-8B-A1B": ("liquid", None),
    "MiniMax-M2": ("minimax-m2", "think"),
    "Mistral-Small-3.2-24B-Instruct-2506": ("mistral-v11", None),
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ("qwen3-coder", "think"),
    "NVIDIA-Nemotron-Nano-v2": ("nemotron", "think"),
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": ("hermes", None),
    "Qwen-Qwen2.5-7B-Instruct": ("hermes", None),
    "Qwen-Qwen3-0.6B": ("hermes", "think"),
    "Qwen3-Coder": ("qwen3-coder", None),
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": ("deepseek-v3", "think"),
    "deepseek-ai-DeepSeek-V3.1": ("deepseek-v3.1", "think"),
    "deepseek-ai-DeepSeek-V3.2": ("deepseek-v3.2", "think"),
    "deepseek-ai-DeepSeek-V4": ("deepseek-v4", "think"),
    "fireworks-ai-llama-3-firefunction-v2": ("functools", None),
    "google-gemma-4-31B-it": ("gemma4", "think-gemma4"),
    "google-gemma-2-2b-it": ("json", None),
    "ibm-granite-granite-3.3-2B-Instruct": ("granite", "think"),
    "ibm-granite-granite-4.0": ("hermes", None),
    "meta-llama-Llama-3.3-70B-Instruct": ("llama3-json", None),
    "mistralai-Ministral-3-14B-Reasoning-2512": ("mistral-v11", "think-v11"),
    "mistralai-Mistral-Nemo-Instruct-2407": ("mistral", None),
    "openai-gpt-oss-120b": ("harmony", "harmony"),
}


@pytest.mark.parametrize("name", list(CHOSEN))
def test_a_template_shows_how_its_model_writes(name: str) -> None:
    path = TEMPLATES / f"{name}.jinja"
    if not path.exists():
        pytest.skip(f"no template at {path}")
    found = Dialect.of(Registry(), path.read_text("utf-8"))
    caller = found.caller.name if found.caller else None
    assert (caller, found.reasoner.name if found.reasoner else None) == CHOSEN[name]


def test_a_name_overrules_the_template() -> None:
    found = Dialect.of(Registry(), "<tool_call>", "kimi-k2")
    assert found.caller is not None
    assert found.caller.name == "kimi-k2"
    with pytest.raises(PluginNotInstalled, match="kimi-k3"):
        Dialect.of(Registry(), "<tool_call>", "kimi-k3")


def test_without_tools_nothing_is_a_call() -> None:
    text = '<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>'
    answer = Dialect.of(Registry(), "<tool_call>").parser().whole(text)
    assert (answer.content, answer.found) == (text, [])


CALLS = {
    "hermes": '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>',
    "kimi-k2": "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
    '<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>',
    None: '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
}


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("caller", ["hermes", "kimi-k2", None])
def test_the_first_call_may_be_the_last(step: int, caller: str | None) -> None:
    call = CALLS[caller]
    text = f"Look: {call}\n{call}\nSo."
    dialect = Dialect.of(Registry(), None, caller)
    parser = dialect.parser([WEATHER], several=False)
    deltas = [d for i in range(0, len(text), step) for d in parser.push(text[i : i + step])]
    answer = Answer.of([*deltas, *parser.finish()])
    assert (answer.content, len(answer.found)) == ("Look:", 1)
    assert len(dialect.parser([WEATHER]).whole(f"{call}\n{call}").calls) == 2


def test_a_prompt_may_begin_the_reasoning() -> None:
    dialect = Dialect.of(Registry(), "<think>")
    opened = dialect.parser(prompt="<|im_start|>assistant\n<think>\n").whole("so\n</think>\n\nYes.")
    assert (opened.reasoning, opened.content) == ("so", "Yes.")
    closed = dialect.parser(prompt="<think>\n\n</think>\n\n").whole("Yes.")
    assert (closed.reasoning, closed.content) == ("", "Yes.")


def test_what_is_decided_comes_at_once() -> None:
    parser = Dialect.of(Registry(), "<think><tool_call>").parser([WEATHER])
    assert parser.push("<think>Hm") == [Reasoning("Hm")]
    assert parser.push("m</thi") == [Reasoning("m")]
    assert parser.push("nk> Hello ") == [Content("Hello")]
    assert parser.push("you <tool") == [Content(" you")]
    assert parser.push("box>") == [Content(" <toolbox>")]
    started = parser.push('<tool_call>{"name": "get_weather", "arguments": {"city": "Os')
    assert next(type(delta).__name__ for delta in started) == "CallStart"
    assert "".join(getattr(delta, "text", "") for delta in started) == '{"city": "Os'
    assert "".join(getattr(d, "text", "") for d in parser.push('lo"}')) == 'lo"}'
    assert parser.finish() == []


BARE = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        f"Let me look.\n```json\n{BARE}\n```",
        f"[{BARE}]",
        '{"type": "function", "function": {"name": "get_weather", "parameters": {"city": "Oslo"}}}',
        "{'name': 'get_weather', 'arguments': {'city': 'Oslo',},}",
        '{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}',
        '{"arguments": {"city": "Oslo"}, "name": "get_weather"}',
    ],
)
def test_the_last_resort_mends_what_has_one_meaning(text: str) -> None:
    found = Dialect.of(Registry(), None).parser([WEATHER]).whole(text).calls
    assert [(call.name, call.arguments) for call in found] == [("get_weather", '{"city": "Oslo"}')]


@pytest.mark.parametrize(
    "text", ['{"name": "Bob", "arguments": {}}', '{"city": "Oslo"}', "[1, 2]", "f(x) = {x}"]
)
def test_the_last_resort_takes_no_other_json(text: str) -> None:
    answer = Dialect.of(Registry(), None).parser([WEATHER]).whole(text)
    assert (answer.content, answer.found) == (text, [])
