"""Real templates render as transformers renders them."""

import json
from typing import Any

import pytest
from tramontane.chat import ChatTemplate
from tramontane.chat.messages import checked
from tramontane.errors import RequestError, TemplateError

from .normal_form import normal
from .real_templates import DATA, NAMED, NOW, Clock, by_transformers, sources

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'Weather <now> & "then"',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City é"},
                "days": {"type": "integer"},
            },
            "required": ["city"],
        },
    },
}
CALL = {
    "id": "abcdefghi",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}},
}
USER = {"role": "user", "content": "Hi <there> 你好"}
ANSWER = {"role": "assistant", "content": "Hello!"}
RESULT = {
    "role": "tool",
    "name": "get_weather",
    "tool_call_id": "abcdefghi",
    "content": '{"t": 3}',
}
THOUGHT = {
    "role": "assistant",
    "content": "<think>\nhm\n</think>\n\nok",
    "reasoning_content": "because",
}
PARTS = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
CHATS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "user": ([USER], {}),
    "turns": ([{"role": "system", "content": 'Be "brief"'}, USER, ANSWER, USER], {}),
    "answered": ([USER, ANSWER], {"add_generation_prompt": False}),
    "tools": ([USER], {"tools": [TOOL]}),
    "called": (
        [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT, USER],
        {"tools": [TOOL]},
    ),
    "waiting": (
        [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT],
        {"tools": [TOOL]},
    ),
    "thought": ([USER, THOUGHT, USER], {"enable_thinking": False, "reasoning_effort": "high"}),
    "dated": ([USER], {"date_string": "2 Jan 2025", "documents": [{"title": "t", "text": "x"}]}),
    "parts": ([PARTS], {}),
    "answer first": ([ANSWER, ANSWER], {}),
}


SOURCES = sources()


@pytest.mark.skipif(not SOURCES, reason=f"no test data at {DATA}")
@pytest.mark.parametrize("name", SOURCES)
def test_real_templates_render_as_in_transformers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES[name]
    ours = ChatTemplate(source, named=NAMED, now=Clock.now)
    for chat, (messages, variables) in CHATS.items():
        wanted = normal(messages, name, source, monkeypatch)
        expected = by_transformers(source, wanted, monkeypatch, **variables)
        if expected is None:
            with pytest.raises(TemplateError):
                ours.render(messages, **variables)
        else:
            assert ours.render(messages, **variables) == expected, chat


def test_deepseek_golden() -> None:
    folder = DATA / "golden" / "deepseek-v3.2"
    path = DATA / "llama.cpp" / "deepseek-ai-DeepSeek-V3.2.jinja"
    if not folder.exists() or not path.exists():
        pytest.skip(f"no test data at {folder}")
    chat = json.loads((folder / "test_input.json").read_text())
    named = {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>"}
    ours = ChatTemplate(path.read_text(encoding="utf-8"), named=named)
    text = ours.render(
        chat["messages"], tools=chat["tools"], enable_thinking=True, add_generation_prompt=False
    )
    assert text == (folder / "test_output.txt").read_text(encoding="utf-8").removesuffix("\n")


INDENTED = '{\n "a": 2,\n "b": 1\n}'
NESTED = [[1, []], [2, [[3, []]]]]


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        ("{{ bos_token }}{{ x }}{{ missing }}", {"x": 1}, "<s>1"),
        ("{{ bos_token }}", {"bos_token": "other"}, "other"),
        ("{{ tools is none }} {{ documents is none }}", {}, "True True"),
        ("{{ strftime_now('%d %b %Y') }}", {}, "04 Mar 2025"),
        ("{{ x|tojson }}", {"x": {"b": "<é>", "a": [1, None]}}, '{"b": "<é>", "a": [1, null]}'),
        (
            "{{ x|tojson(indent=1, sort_keys=true) }}",
            {"x": {"b": 1, "a": 2}},
            '{\n "a": 2,\n "b": 1\n}',
        ),
        ("{{ x|tojson(separators=(',', ':')) }}", {"x": {"a": 1}}, '{"a":1}'),
        ("{{ x|tojson(ensure_ascii=true) }}", {"x": "é"}, '"\\u00e9"'),
        ("{{ ('{\"a\": 1}'|from_json).a }}", {}, "1"),
        ("{% generation %}a{{ x }}{% endgeneration %}b", {"x": 1}, "a1b"),
        (
            "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            {},
            "01",
        ),
        ("{% for i in [1, 2] %}{{ loop.length }}{{ loop.last }}{% endfor %}", {}, "2False2True"),
        ("{% for i in missing %}x{% else %}none{% endfor %}", {}, "none"),
        ("{%- set n = namespace(a=1) %}{% set n.a = n.a + 1 %}{{ n.a }}", {}, "2"),
        ("{{ dict(a=1).a }}{{ 'a' ~ 1 ~ none }}{{ [1, 2][1:] }}", {}, "1a1None[2]"),
        ("  {% if true %}\n  x\n  {% endif %}\n", {}, "  x\n"),
        (
            "{{ '%s-%d' % ('a', 3) }}{{ '{} {:>3}'.format(1, 2) }}{{ 'ab'|center(4) }}",
            {},
            "a-31   2 ab ",
        ),
        ("{% for i in x recursive %}{{ i[0] }}{{ loop(i[1]) }}{% endfor %}", {"x": NESTED}, "123"),
    ],
)
def test_what_templates_use(source: str, variables: dict[str, Any], expected: str) -> None:
    ours = ChatTemplate(source, named=NAMED, now=lambda: NOW)
    assert ours.render([USER], **variables) == expected


ITERATES = "{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}"
EITHER = (
    "{% macro show(c) %}{% if c is string %}{{ c }}{% else %}{% for p in c %}[{{ p.text }}]"
    "{% endfor %}{% endif %}{% endmacro %}"
    "{% for m in messages %}{{ show(m['content']) }}{% endfor %}"
)


@pytest.mark.parametrize(
    ("source", "text", "parts"),
    [
        ("{{ messages[0].content }}", "Hi <there> 你好", "a\nb"),
        ("{% set c = messages[0].get('content') %}{{ c|trim }}", "Hi <there> 你好", "a\nb"),
        (
            "{% for x in messages[0].content.split(' ') %}{{ x }}{% endfor %}",
            "Hi<there>你好",
            "a\nb",
        ),
        (ITERATES, "[Hi <there> 你好]", "[a][b]"),
        (EITHER, "Hi <there> 你好", "[a][b]"),
    ],
)
def test_content_is_made_to_fit(source: str, text: str, parts: str) -> None:
    ours = ChatTemplate(source, named={})
    assert ours.render([USER]) == text
    assert ours.render([PARTS]) == parts


ARGUMENTS = '{"city": "Zürich"}'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ call.arguments|tojson }}", '{"city": "Zürich"}'),
        ("{{ call.arguments }}", ARGUMENTS),
        ("{% for k, v in call.arguments|items %}{{ k }}={{ v }}{% endfor %}", "city=Zürich"),
        ("{{ call.arguments if call.arguments is string else call.arguments|tojson }}", ARGUMENTS),
        ("{{ call.name }}", "get_weather"),
    ],
)
def test_arguments_come_as_the_template_wants_them(source: str, expected: str) -> None:
    ours = ChatTemplate(
        "{% for m in messages %}{% for c in m.tool_calls %}{% set call = c.function %}"
        + source
        + "{% endfor %}{% endfor %}",
        named={},
    )
    call = {"type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}
    message = {"role": "assistant", "tool_calls": [call]}
    assert ours.render([message]) == expected
    assert call["function"] == {"name": "get_weather", "arguments": ARGUMENTS}


def test_deep_messages_are_refused() -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    with pytest.raises(RequestError, match="nested deeper"):
        checked([{"role": "user", "content": "x", "extra": deep}])
