"""Real templates render as transformers renders them."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat import ChatTemplate, choose_template
from tramontane.chat.messages import checked
from tramontane.errors import RequestError, TemplateError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "chat_templates"
NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
NOW = datetime.datetime(2025, 3, 4, 5, 6, 7)

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


def sources() -> dict[str, str]:
    found = {}
    for path in sorted(DATA.glob("llama.cpp/*.jinja")):
        found[path.name] = path.read_text(encoding="utf-8")
    for path in sorted(DATA.glob("mistral.rs/*")):
        source = choose_template(None, None, path)
        assert source is not None
        found[f"mistral.rs {path.name}"] = source
    for folder in sorted(DATA.glob("tokenizer_configs/*")):
        for tools in (False, True):
            source = choose_template(folder, None, None, tools=tools)
            if source is not None and source not in found.values():
                found[f"config {folder.name}, {tools=}"] = source
    return found


SOURCES = sources()


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":
        return cls(*NOW.timetuple()[:6])


def as_they_take_it(chat: list[dict[str, Any]], ours: ChatTemplate) -> list[dict[str, Any]]:
    """Content of the kind that a template takes, which transformers leaves to the caller."""
    copies = []
    for message in chat:
        content = message.get("content")
        if isinstance(content, list) and not ours.takes.parts:
            content = "\n".join(part["text"] for part in content)
        elif isinstance(content, str) and not ours.takes.text:
            content = [{"type": "text", "text": content}]
        copies.append({**message, "content": content})
    return copies


@pytest.mark.skipif(not SOURCES, reason=f"no test data at {DATA}")
@pytest.mark.parametrize("name", SOURCES)
def test_real_templates_render_as_in_transformers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = pytest.importorskip("transformers.utils.chat_template_utils")
    monkeypatch.setattr(theirs, "datetime", Clock)
    ours = ChatTemplate(SOURCES[name], named=NAMED, now=Clock.now)
    for chat, (messages, variables) in CHATS.items():
        options = {**NAMED, "add_generation_prompt": True, **variables}
        fitted = as_they_take_it(messages, ours)
        try:
            [expected], _ = theirs.render_jinja_template(
                [fitted], chat_template=SOURCES[name], **options
            )
        except Exception:  # noqa: BLE001 - templates fail in every way
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


def test_media_for_a_template_of_texts_is_refused() -> None:
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    with pytest.raises(RequestError, match="message 0 has a part of type 'image_url'"):
        ChatTemplate("{{ messages[0].content }}", named={}).render([image])


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ("hi", "should be a list"),
        ([], "empty"),
        (["hi"], "message 0 should be an object"),
        ([USER, {"content": "x"}], "message 1 should have a role"),
        ([{"role": "user"}], "no content"),
        ([{"role": "user", "content": 3}], "text or parts, not int"),
        ([{"role": "user", "content": ["x"]}], "part 0 of its content should be an object"),
        ([{"role": "user", "content": [{"type": "text"}]}], "should have a text"),
        ([{"role": "user", "content": "x", "extra": object()}], "has a object; only JSON"),
        ([{"role": "user", "content": "x", 3: 4}], "which is no text"),
    ],
)
def test_malformed_messages(messages: Any, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        ChatTemplate("", named={}).render(messages)


def test_deep_messages_are_refused() -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    with pytest.raises(RequestError, match="nested deeper"):
        checked([{"role": "user", "content": "x", "extra": deep}])


def test_reasoning_comes_under_the_names_that_templates_read() -> None:
    source = "{{ messages[0].reasoning_content }} {{ messages[0].thinking }}"
    message = {"role": "assistant", "content": "x", "reasoning": "why"}
    assert ChatTemplate(source, named={}).render([message]) == "why why"
