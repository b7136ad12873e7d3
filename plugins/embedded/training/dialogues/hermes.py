"""Tools, calls and results as the chat template writes them: calls in the form of Hermes and Qwen.

A tool is shown as the call that it takes, with types in the places of values, so that a call is a
copy of that line with values from the question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .turns import Dialogue, Turn


@dataclass(frozen=True)
class Taken:
    """A parameter. kind: a JSON type. among: the values of an enumeration."""

    name: str
    kind: str = "string"
    optional: bool = False
    among: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """A tool as a model is told of it."""

    name: str
    about: str
    takes: tuple[Taken, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call. arguments: as JSON would have them."""

    name: str
    arguments: Mapping[str, Any]


def shown(spec: Spec) -> str:
    """A tool's line in the prompt."""
    takes = ", ".join(f'"{taken.name}": {placeholder(taken)}' for taken in spec.takes)
    about = f" {spec.about}" if spec.about else ""
    return f'{{"name": "{spec.name}", "arguments": {{{takes}}}}}{about}'


def placeholder(taken: Taken) -> str:
    """A type, where the value will be."""
    if taken.among:
        kind = f'"{"|".join(taken.among)}"'
    else:
        kind = '"string"' if taken.kind == "string" else taken.kind
    return kind + ("?" if taken.optional else "")


def schema(spec: Spec) -> dict[str, Any]:
    """The same tool as an API has it."""
    properties = {
        taken.name: {"type": taken.kind} | ({"enum": list(taken.among)} if taken.among else {})
        for taken in spec.takes
    }
    required = [taken.name for taken in spec.takes if not taken.optional]
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": spec.name, "description": spec.about, "parameters": parameters}
    return {"type": "function", "function": function}


def told_of(tools: Sequence[Spec], system: str = "") -> Turn:
    """The system message that shows tools, after what else it says."""
    lines = "".join(f"{shown(spec)}\n" for spec in tools)
    before = f"{system}\n\n" if system else ""
    return {"role": "system", "content": f"{before}<tools>\n{lines}</tools>"}


def calling(calls: Sequence[Call]) -> Turn:
    """The message that makes calls."""
    return {"role": "assistant", "content": "\n".join(map(written, calls))}


def written(call: Call) -> str:
    """A call."""
    function = {"name": call.name, "arguments": call.arguments}
    return f"<tool_call>\n{json.dumps(function, ensure_ascii=False)}\n</tool_call>"


def resulting(results: Sequence[str]) -> Turn:
    """The results of all calls of a message."""
    parts = (f"<tool_response>\n{result}\n</tool_response>" for result in results)
    return {"role": "user", "content": "\n".join(parts)}


def with_tools(tools: Sequence[Spec], talk: Dialogue, system: str = "") -> Dialogue:
    """A dialogue in which tools are offered."""
    return [told_of(tools, system), *talk]
