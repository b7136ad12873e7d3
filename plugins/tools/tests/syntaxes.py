"""How each syntax writes calls, for tests that read them back: from the models' chat templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tramontane.answers import Answer, Dialect
from tramontane.plugin import ToolCaller
from tramontane.registry import Registry
from tramontane.tools import Tool

OFFERS = {offer.name: offer for offer in Registry().all(ToolCaller) if "calls" in offer.reads}
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Syntax:
    """before, after: what is around all calls. between: what is between two. one: writes a call.

    closings: the marks that close calls and values. raw: whether texts are written as they are,
    with nothing that tells them from other values.
    """

    one: Callable[[str, Arguments], str]
    before: str = ""
    between: str = ""
    after: str = ""
    closings: tuple[str, ...] = ()
    raw: bool = False

    def write(self, *calls: tuple[str, Arguments]) -> str:
        return self.before + self.between.join(self.one(*call) for call in calls) + self.after


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def raw(value: Any) -> str:
    return value if isinstance(value, str) else dumped(value)


def named(key: str = "arguments") -> Callable[[str, Arguments], str]:
    return lambda name, given: f'{{"name": "{name}", "{key}": {dumped(given)}}}'


def wrapped(opening: str, closing: str) -> Syntax:
    """A list of objects between marks."""
    closings = (closing,) if closing else ()
    return Syntax(named(), f"{opening}[", ", ", f"]{closing}", closings)


def qwen(name: str, given: Arguments) -> str:
    members = "".join(
        f"<parameter={key}>\n{raw(value)}\n</parameter>\n" for key, value in given.items()
    )
    return f"<tool_call>\n<function={name}>\n{members}</function>\n</tool_call>"


def glm(name: str, given: Arguments) -> str:
    pairs = "".join(
        f"<arg_key>{key}</arg_key>\n<arg_value>{raw(value)}</arg_value>\n"
        for key, value in given.items()
    )
    return f"<tool_call>{name}\n{pairs}</tool_call>"


def invoke(prefix: str, around: str) -> Syntax:
    def one(name: str, given: Arguments) -> str:
        members = "".join(
            f'<{prefix}parameter name="{key}"{kind(value)}>{raw(value)}</{prefix}parameter>\n'
            for key, value in given.items()
        )
        return f'<{prefix}invoke name="{name}">\n{members}</{prefix}invoke>\n'

    def kind(value: Any) -> str:
        return f' string="{str(isinstance(value, str)).lower()}"' if prefix else ""

    closings = (f"</{prefix}parameter>", f"</{prefix}invoke>", f"</{around}>")
    return Syntax(one, f"<{around}>\n", "", f"</{around}>", closings, raw=not prefix)


def gemma(value: Any) -> str:
    if isinstance(value, str):
        return f'<|"|>{value}<|"|>'
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{gemma(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(gemma, value)) + "]"
    return dumped(value)


def python(name: str, given: Arguments) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})"


DS = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
DS_CLOSINGS = ("<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>")
SYNTAXES = {
    "hermes": Syntax(
        lambda name, given: f"<tool_call>\n{named()(name, given)}\n</tool_call>",
        between="\n",
        closings=("</tool_call>",),
    ),
    "qwen3-coder": Syntax(
        qwen,
        between="\n",
        closings=("</parameter>", "</function>", "</tool_call>"),
        raw=True,
    ),
    "llama3-json": Syntax(named("parameters"), "<|python_tag|>", "; "),
    "pythonic": Syntax(python, "[", ", ", "]"),
    "mistral": wrapped("[TOOL_CALLS]", ""),
    "mistral-v11": Syntax(lambda name, given: f"[TOOL_CALLS]{name}[ARGS]{dumped(given)}"),
    "deepseek-v3": Syntax(
        lambda name, given: (
            f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{dumped(given)}\n```"
            "<｜tool▁call▁end｜>"
        ),
        DS[0],
        "\n",
        DS[1],
        ("```", *DS_CLOSINGS),
    ),
    "deepseek-v3.1": Syntax(
        lambda name, given: (
            f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{dumped(given)}<｜tool▁call▁end｜>"
        ),
        DS[0],
        "",
        DS[1],
        DS_CLOSINGS,
    ),
    "deepseek-v3.2": invoke("｜DSML｜", "｜DSML｜function_calls"),
    "deepseek-v4": invoke("｜DSML｜", "｜DSML｜tool_calls"),
    "harmony": Syntax(
        lambda name, given: (
            f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>"
            f"{dumped(given)}<|call|>"
        ),
        between="<|start|>assistant",
        closings=("<|call|>",),
    ),
    "gemma4": Syntax(
        lambda name, given: f"<|tool_call>call:{name}{gemma(dict(given))}<tool_call|>",
        closings=("<tool_call|>",),
    ),
    "glm": Syntax(glm, between="\n", closings=("</arg_value>", "</tool_call>"), raw=True),
    "kimi-k2": Syntax(
        lambda name, given: (
            f"<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{dumped(given)}"
            "<|tool_call_end|>"
        ),
        "<|tool_calls_section_begin|>",
        "",
        "<|tool_calls_section_end|>",
        ("<|tool_call_end|>", "<|tool_calls_section_end|>"),
    ),
    "phi4": wrapped("functools", ""),
    "functools": wrapped("functools", ""),
    "granite": wrapped("<|tool_call|>", ""),
    "jamba": wrapped("<tool_calls>", "</tool_calls>"),
    "liquid": Syntax(
        python, "<|tool_call_start|>[", ", ", "]<|tool_call_end|>", ("<|tool_call_end|>",)
    ),
    "minimax-m2": invoke("", "minimax:tool_call"),
    "nemotron": wrapped("<TOOLCALL>", "</TOOLCALL>"),
    "json": Syntax(named(), between=", "),
}


def read(name: str, text: str, tools: Sequence[Tool]) -> Answer:
    """What comes of a text, whole and letter by letter, which is the same."""
    offer = OFFERS[name]
    dialect = Dialect(offer, offer if "reasoning" in offer.reads else None)
    whole = dialect.parser(tools).whole(text)
    parser = dialect.parser(tools)
    deltas = [delta for letter in text for delta in parser.push(letter)]
    assert Answer.of([*deltas, *parser.finish()]) == whole, text
    return whole


def calls(answer: Answer) -> list[tuple[str, Any]]:
    """The calls that are whole, their arguments as Python has them."""
    return [(call.name, json.loads(call.arguments)) for call in answer.calls]
