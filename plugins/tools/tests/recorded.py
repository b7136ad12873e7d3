"""The recorded model outputs of ../shared/data/tool_calls, and what other parsers made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tramontane.tools import Tool

ROOT = Path(__file__).parents[4] / "shared/data/tool_calls/dynamo-parity"


@dataclass(frozen=True)
class Recorded:
    """One case. pieces: the output, as it came. theirs: of each parser, calls and text."""

    name: str
    pieces: tuple[str, ...]
    tools: tuple[Tool, ...]
    theirs: tuple[tuple[Any, str], ...]


def cases(kind: str, family: str) -> Iterator[Recorded]:
    """Of a family. kind: toolcalling or reasoning."""
    yaml = pytest.importorskip("yaml")
    folder = ROOT / kind / "fixtures" / family
    if not folder.exists():
        pytest.skip(f"no recorded outputs at {folder}")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    for path in sorted(folder.glob("*.yaml")):
        for name, case in yaml.load(path.read_text("utf-8"), loader)["cases"].items():
            chunks = [chunk["delta_text"] for chunk in case.get("chunks", ())]
            pieces = (case["model_text"],) if "model_text" in case else tuple(chunks)
            if not pieces:
                continue
            tools = tuple(
                Tool(name=tool["name"], parameters=tool.get("parameters", {}))
                for tool in case.get("tools") or ()
            )
            theirs = tuple(found(e) for e in case["expected"].values() if readable(e))
            yield Recorded(name.split(".", 1)[1], pieces, tools, theirs)


def readable(expected: Any) -> bool:
    """Whether a parser was recorded, and not that it has no such family."""
    return bool(expected) and ("calls" in expected or "reasoning_text" in expected)


def found(expected: Any) -> tuple[Any, str]:
    text = squeezed(expected.get("normal_text") or "")
    if "reasoning_text" in expected:
        return squeezed(expected["reasoning_text"] or ""), text
    calls = [[call["name"], call["arguments"]] for call in expected["calls"] or ()]
    return json.dumps(calls, sort_keys=True), text


def squeezed(text: str) -> str:
    """Without white space: the parsers differ in what they strip, and it says nothing."""
    return "".join(text.split())
