"""The rest of what can be done carelessly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane.tools import McpServer, Tool, ToolCall


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


def run(arguments: list[str]) -> None:
    print("careless")
