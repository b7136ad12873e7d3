"""Every form in which clients write a message comes out as one prompt: role, content, arguments.

The right prompt is transformers' of the message in the one form of `normal_form`, which is the one
that vLLM documents.
"""

import json
from copy import deepcopy
from typing import Any

import pytest
from tramontane.chat import ChatTemplate
from tramontane.errors import TemplateError

from .normal_form import Chat, normal
from .real_templates import DATA, NAMED, Clock, by_transformers, sources

TOOL = {
    "type": "function",
    "function": {
        "name": "now",
        "description": "the time",
        "parameters": {
            "type": "object",
            "properties": {"zone": {"type": "string", "description": "where"}},
            "required": ["zone"],
        },
    },
}
ABSENT = object()
TEXT, PARTS = "one", [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
CONTENTS = {"text": TEXT, "parts": PARTS, "null": None, "empty": "", "missing": ABSENT}
GIVEN = {"zone": "CET", "n": [1, None, "é"]}
ARGUMENTS = {
    "object": GIVEN,
    "text of an object": json.dumps(GIVEN, ensure_ascii=False),
    "text {}": "{}",
    "empty": "",
    "blank": " \n",
    "null": None,
    "text null": "null",
    "missing": ABSENT,
}
DUMPED = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning_content"))


def present(**fields: Any) -> dict[str, Any]:
    return {name: deepcopy(value) for name, value in fields.items() if value is not ABSENT}


def answer(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", **present(**fields)}


def calling(arguments: Any = GIVEN, **fields: Any) -> dict[str, Any]:
    function = present(name="now", arguments=arguments)
    return answer(
        **fields, tool_calls=[{"id": "abc123456", "type": "function", "function": function}]
    )


def result(content: Any = "12:00") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "abc123456", **present(content=content)}


def rows() -> dict[str, Chat]:
    """By what is written in which form."""
    user = {"role": "user", "content": "time?"}
    found: dict[str, Chat] = {}
    for form in ("text", "parts"):
        for role in ("system", "developer"):
            found[f"{role}, {form}"] = [{"role": role, "content": CONTENTS[form]}, user]
        found[f"user, {form}"] = [{"role": "user", "content": CONTENTS[form]}]
    for form, content in CONTENTS.items():
        found[f"assistant, {form}"] = [user, answer(content=content), user]
        found[f"caller, {form}"] = [user, calling(content=content), result()]
        found[f"tool, {form}"] = [user, calling(content=""), result(content)]
    for form, arguments in ARGUMENTS.items():
        found[f"arguments, {form}"] = [user, calling(arguments, content=""), result()]
    for name in ("reasoning_content", "reasoning", "thinking"):
        found[f"assistant, {name}"] = [user, answer(content=TEXT, **{name: "hm"}), user]
        found[f"caller, {name}"] = [user, calling(content=None, **{name: "hm"}), result()]
        found[f"caller, text and {name}"] = [user, calling(content=TEXT, **{name: "hm"}), result()]
    found["assistant, fields of null"] = [
        {**user, "name": None},
        answer(content=TEXT, tool_calls=None, **DUMPED),
        user,
    ]
    found["assistant, no calls"] = [user, answer(content=TEXT, tool_calls=[]), user]
    found["caller, fields of null"] = [user, calling(content=None, **DUMPED), result()]
    return found


ROWS = rows()

OURS = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] }}"
    "{% for c in m.tool_calls %}[{{ c.function.name }} {{ c.function.arguments|tojson }}]"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}",
    "writes null": "{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls %}"
    "{{ c.function.name }}({% for k, v in c.function.arguments|items %}{{ k }}={{ v }};"
    "{% endfor %}){% endfor %}\n{% endfor %}",
    "calls need null": "{% for m in messages %}{% if m.content is none %}"
    "{% for c in m.tool_calls %}{{ c.function.name + c.function.arguments }}{% endfor %}{% else %}"
    "{{ m.role }}:{{ m.content }}{% endif %}\n{% endfor %}",
    "text or object": "{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls %}{% set a = c.function.arguments %}"
    "{{ a if a is string else a|tojson }}{% endfor %}\n{% endfor %}",
    "a syntax of its own": "{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls %}{% set a = c.function.arguments %}call:{{ c.function.name + '{' }}"
    "{% if a is mapping %}{% for k, v in a|items %}{{ k }}:<{{ v }}>{% endfor %}{% else %}"
    "{{ a }}{% endif %}{{ '}' }}{% endfor %}\n{% endfor %}",
    "text alone": "{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls %}"
    "{{ '>>>' + c.function.name + '\n' + c.function.arguments }}{% endfor %}\n{% endfor %}",
    "with tools alone": "{{ tools|map(attribute='function.name')|join }}{% for t in tools %}"
    "{% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls %}"
    "{{ c.function.arguments|tojson }}{% endfor %}\n{% endfor %}",
    "one of text and thinking": "{% for m in messages %}{% if m.tool_calls %}"
    "{% if m.content and m.thinking %}{{ raise_exception('both') }}{% endif %}"
    "<{{ m.content or m.thinking }}>{{ m.tool_calls[0].function.arguments|tojson }}{% else %}"
    "{{ m.role }}:{{ m.content }}{% endif %}\n{% endfor %}",
    "parts of users": "{% for m in messages %}{% if m.role == 'user' and m.content is not string %}"
    "{% for p in m.content %}[{{ p.text }}]{% endfor %}{% else %}{{ m.role }}:{{ m.content }}"
    "{% endif %}{% for c in m.tool_calls %}{{ c.function.arguments|tojson }}{% endfor %}\n"
    "{% endfor %}",
    "parts alone": "{% for m in messages %}{{ m.role }}:{% for p in m.content %}[{{ p.text }}]"
    "{% endfor %}{% for c in m.tool_calls %}{{ c.function.arguments|tojson }}{% endfor %}\n"
    "{% endfor %}",
    "developers": "{% for m in messages %}{% if m.role == 'developer' %}dev{% else %}{{ m.role }}"
    "{% endif %}:{{ m.content }}{% for c in m.tool_calls %}{{ c.function.arguments|tojson }}"
    "{% endfor %}{% if 'tool_calls' in m and not m.tool_calls %}!{% endif %}\n{% endfor %}",
    "thoughts by name": "{% for m in messages %}{{ m.role }}:{{ m.reasoning }}"
    "{{ m.content|length }}{{ m.name }}{% for c in m.tool_calls %}"
    "{{ c.function.arguments|tojson }}{% endfor %}\n{% endfor %}",
}
SOURCES = OURS | sources()


@pytest.mark.parametrize("name", SOURCES)
def test_each_form_gives_the_one_prompt(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SOURCES[name]
    ours = ChatTemplate(source, named=NAMED, now=Clock.now)
    known: dict[str, str | None] = {}
    for row, chat in ROWS.items():
        tools = [TOOL] if any("tool_calls" in message for message in chat) else None
        wanted = normal(chat, name, source, monkeypatch)
        key = repr((wanted, tools))
        if key not in known:
            known[key] = by_transformers(source, wanted, monkeypatch, tools=tools)
        if known[key] is None:
            with pytest.raises(TemplateError):
                ours.render(chat, tools=tools)
        else:
            assert ours.render(chat, tools=tools) == known[key], row


def test_the_real_templates_are_there() -> None:
    if not DATA.exists():
        pytest.skip(f"no test data at {DATA}: only templates of our own were rendered")
    assert len(SOURCES) - len(OURS) > 80
