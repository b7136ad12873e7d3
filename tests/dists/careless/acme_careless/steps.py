"""The rest of what can be done carelessly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from tramontane.chat.toolbox import Function
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane.tools import McpServer, Tool, ToolCall
from tramontane.toolset import ToolContext


def greedy(options: Mapping[str, Any], context: SamplerContext) -> Step:
    """Writes into what it is given, and draws what the seed does not know."""

    def step(candidates: Candidates, history: History) -> Candidates:
        candidates.logits[:] += np.random.default_rng().random()
        history.output.append(0)
        return candidates.with_logits(np.nan_to_num(candidates.logits, neginf=-1e30))

    return step


def cut(options: Mapping[str, Any], context: SamplerContext) -> Step:
    """May leave nothing."""

    def step(candidates: Candidates, history: History) -> Candidates:
        return candidates.keep(candidates.probabilities() > options["threshold"])

    return step


def parse(text: str, tools: Sequence[Tool]) -> list[ToolCall]:
    if "[" not in text:
        return []
    name, arguments = json.loads(text[text.index("[") :])
    return [ToolCall(name, str(arguments))]


async def connect(server: McpServer) -> None:
    raise OSError("not a context manager")


@asynccontextmanager
async def open_tools(context: ToolContext) -> AsyncIterator[Tools]:
    yield Tools()


class Tools:
    def functions(self) -> list[Function]:
        tool = Tool(name="rm -rf", parameters={"type": "text"})
        return [Function(tool, lambda: 1, risk="none")] * 2  # type: ignore[arg-type]


def run(arguments: list[str]) -> None:
    print("careless")
