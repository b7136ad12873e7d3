"""What a message may be, what it is brought into, and what is refused with which words."""

from typing import Any

import pytest
from tramontane.chat import ChatTemplate
from tramontane.chat.messages import checked
from tramontane.errors import RequestError, TemplateError

from .test_chat_forms import ROWS

USER = {"role": "user", "content": "x"}
WRITTEN = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
REASONED = "{% for m in messages %}<{{ m.reasoning_content }}>{{ m.content }}{% endfor %}"
BLOCKS = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'thinking' %}[THINK]{{ p.thinking }}[/THINK]"
    "{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
)
ITEMS = (
    "{% for m in messages %}{% for c in m.tool_calls %}{% for k, v in c.function.arguments|items %}"
    "{{ k }}={{ v }}{% endfor %}{% endfor %}{% endfor %}"
)

EITHER = (
    "{% for m in messages %}{% for c in m.tool_calls %}{% set a = c.function.arguments %}"
    "{{ a if a is string else a|tojson }}{% endfor %}{% endfor %}"
)


def assistant(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", **fields}


def calling(arguments: Any, **more: Any) -> dict[str, Any]:
    return assistant(tool_calls=[{"function": {"name": "f", "arguments": arguments}}], **more)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ("hi", "should be a list"),
        ([], "empty"),
        (["hi"], "message 0 should be an object"),
        ([USER, {"content": "x"}], "message 1 should have a role"),
        ([{"role": "user"}], r"message 0 \(user\) has no content"),
        ([{"role": "user", "content": None}], "no content"),
        ([{"role": "system", "content": None}], "no content"),
        ([{"role": "developer"}], "no content"),
        ([{"role": "user", "content": 3}], "text or parts, not int"),
        ([{"role": "tool", "content": {"t": 3}}], "text or parts, not dict"),
        ([{"role": "user", "content": ["x"]}], "part 0 of its content should be an object"),
        ([{"role": "user", "content": [{"type": "text"}]}], "should have a text"),
        ([{"role": "user", "content": "x", "extra": object()}], "has a object; only JSON"),
        ([{"role": "user", "content": "x", 3: 4}], "which is no text"),
        ([assistant(tool_calls="f")], "tool_calls should be a list, not str"),
        ([assistant(tool_calls=["f"])], "tool call 0 should be an object with a function"),
        ([assistant(tool_calls=[{"function": {"arguments": "{}"}}])], "function that has a name"),
        ([assistant(function_call={"name": "f"})], "older API; write tool_calls instead"),
        ([{"role": "function", "content": "x"}], "older API; write role tool, tool_call_id"),
        ([assistant(content="x", reasoning={"effort": 1})], "reasoning should be a text, not dict"),
        ([assistant(content=[{"type": "thinking"}])], "should have its thinking as a text"),
        ([{"role": "user", "content": [{"type": "thinking", "thinking": "x"}]}], "are text"),
    ],
)  # fmt: skip
def test_malformed_messages(messages: Any, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        ChatTemplate("", named={}).render(messages)


@pytest.mark.parametrize("source", [WRITTEN, BLOCKS])
@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_what_is_no_text_is_refused_by_every_template(source: str, kind: str) -> None:
    seen = {"role": "user", "content": [{"type": kind, kind: {"url": "x"}}]}
    with pytest.raises(RequestError, match=f"message 0 has a part of type '{kind}', but"):
        ChatTemplate(source, named={}).render([seen])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"content": None, "refusal": "no"}, "no"),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, "no"),
        ({"content": [{"type": "output_text", "text": "a", "annotations": []}]}, "a"),
        ({"content": "a", "refusal": None}, "a"),
        ({"content": []}, ""),
    ],
)
def test_an_answer_in_other_forms(content: dict[str, Any], expected: str) -> None:
    written = ChatTemplate(WRITTEN, named={}).render([assistant(**content)])
    assert written == f"assistant:{expected};"


@pytest.mark.parametrize(
    "thinking", ["why", [{"type": "text", "text": "why"}]], ids=["text", "parts"]
)
def test_reasoning_in_a_part_goes_where_the_template_has_it(thinking: Any) -> None:
    content = [{"type": "thinking", "thinking": thinking}, {"type": "text", "text": "x"}]
    chat = [assistant(content=content)]
    assert ChatTemplate(REASONED, named={}).render(chat) == "<why>x"
    assert ChatTemplate(BLOCKS, named={}).render(chat) == "[THINK]why[/THINK]x"
    assert ChatTemplate(BLOCKS, named={}).render([assistant(content=content[1:])]) == "x"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_has_all_names_that_templates_read(name: str) -> None:
    source = "{% set m = messages[0] %}{{ m.reasoning_content }} {{ m.thinking }} {{ m.reasoning }}"
    message = assistant(content="x", **{name: "why"})
    assert ChatTemplate(source, named={}).render([message]) == "why why why"


def test_the_result_of_a_call_has_the_tools_name() -> None:
    source = "{% for m in messages %}{{ m.name }};{% endfor %}"
    calls = [{"id": name, "function": {"name": f"get_{name}"}} for name in "ab"]
    results = [{"role": "tool", "tool_call_id": name, "content": name} for name in "bac"]
    chat = [assistant(tool_calls=calls), *results, {**results[0], "name": "given"}]
    assert ChatTemplate(source, named={}).render(chat) == ";get_b;get_a;;given;"


def test_a_calls_text_that_is_no_object_is_named() -> None:
    with pytest.raises(
        RequestError, match=r"call of f has arguments that are not a JSON object.*Li"
    ):
        ChatTemplate(ITEMS, named={}).render([calling('{"city": "Li')])
    with pytest.raises(RequestError, match=r"not a JSON object, which .* needs: '\[1\]'"):
        ChatTemplate(ITEMS, named={}).render([calling("[1]")])
    quoted = "{{ messages[0].tool_calls[0].function.arguments|tojson }}"
    assert ChatTemplate(quoted, named={}).render([calling("[1]")]) == '"[1]"'


def test_a_template_that_fails_for_another_reason_says_its_own() -> None:
    refuses = ITEMS + "{% if messages|length == 1 %}{{ raise_exception('not so') }}{% endif %}"
    with pytest.raises(TemplateError, match="not so"):
        ChatTemplate(refuses, named={}).render([calling("{}")])


def test_a_template_that_cannot_be_tried_gets_objects() -> None:
    source = "{% if not known %}{{ raise_exception('who?') }}{% endif %}" + ITEMS
    assert ChatTemplate(source, named={}).render([calling('{"a": 1}')], known=True) == "a=1"


def test_a_text_keeps_the_spelling_that_the_model_chose() -> None:
    assert ChatTemplate(EITHER, named={}).render([calling('{"a":1}')]) == '{"a":1}'
    assert ChatTemplate(EITHER, named={}).render([calling({"a": 1})]) == '{"a": 1}'


@pytest.mark.parametrize("row", ROWS)
def test_the_one_form_is_the_one_form_of_itself(row: str) -> None:
    given = ROWS[row]
    before = repr(given)
    once = checked(given)
    assert checked(once) == once
    assert repr(given) == before


def test_a_template_that_takes_long_is_not_tried_to_the_end() -> None:
    """What a trial would show, that it takes texts, is not seen."""
    slow = "{% for i in range(60000) %}{% endfor %}" * 2
    for source, expected in ((EITHER, '{"a":1}'), (slow + EITHER, '{"a": 1}')):
        assert ChatTemplate(source, named={}).render([calling('{"a":1}')]) == expected
