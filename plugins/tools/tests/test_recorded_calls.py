"""What recorded model outputs call is what one of three other parsers found, or listed."""

from __future__ import annotations

import json
import random
from functools import cache

import pytest
from tramontane.answers import Answer, Dialect
from tramontane.plugin import ToolCaller
from tramontane.registry import Registry

from .differences import expected_differences
from .recorded import Recorded, cases, squeezed

NAMES = {
    "deepseek_v3": "deepseek-v3", "deepseek_v3_1": "deepseek-v3.1",
    "deepseek_v3_2": "deepseek-v3.2", "deepseek_v4": "deepseek-v4", "gemma4": "gemma4",
    "glm47": "glm", "harmony": "harmony", "hermes": "hermes", "jamba": "jamba",
    "kimi_k2": "kimi-k2", "llama3_json": "llama3-json", "minimax_m2": "minimax-m2",
    "mistral": "mistral", "nemotron_deci": "nemotron", "nemotron_nano": "qwen3-coder",
    "phi4": "phi4", "pythonic": "pythonic", "qwen25": "hermes", "qwen3_coder": "qwen3-coder",
}  # fmt: skip


@cache
def dialect(name: str) -> Dialect:
    offer = Registry().get(ToolCaller, name)
    return Dialect(offer, offer if "reasoning" in offer.reads else None)


def read(family: str, case: Recorded, pieces: list[str]) -> Answer:
    parser = dialect(NAMES[family]).parser(case.tools)
    deltas = [delta for piece in pieces for delta in parser.push(piece)]
    return Answer.of([*deltas, *parser.finish()])


def agrees(answer: Answer, case: Recorded) -> bool:
    calls = [[call.name, json.loads(call.arguments)] for call in answer.calls]
    mine = json.dumps(calls, sort_keys=True), squeezed(answer.content)
    return mine in case.theirs


@pytest.mark.parametrize("family", list(NAMES))
def test_every_case_agrees_or_is_listed(family: str) -> None:
    recorded = list(cases("toolcalling", family))
    differing = {
        (family, case.name)
        for case in recorded
        if not agrees(read(family, case, list(case.pieces)), case)
    }
    assert differing == {pair for pair in expected_differences() if pair[0] == family}
    assert len(recorded) >= 20


@pytest.mark.parametrize("family", list(NAMES))
def test_how_a_recorded_output_is_cut_makes_no_difference(family: str) -> None:
    rng = random.Random(family)
    for case in cases("toolcalling", family):
        text = "".join(case.pieces)
        whole = read(family, case, [text])
        assert read(family, case, list(text)) == whole
        for _ in range(8):
            cuts = sorted(rng.choices(range(len(text) + 1), k=rng.randint(1, 9)))
            pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
            assert read(family, case, pieces) == whole
