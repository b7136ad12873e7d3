"""Adapters that peft 0.21.0 has saved, and its own logits with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tramontane import LLM

DATA = Path(__file__).parents[4] / "shared/golden/adapters/data"
EXPECTED = DATA / "expected.json"
CASES: dict[str, Any] = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.exists() else {}
IDS = json.loads(EXPECTED.read_text())["ids"][0] if EXPECTED.exists() else []
NAMES = [name for name in CASES if not name.startswith(("base-", "xlora-"))]

pytestmark = pytest.mark.skipif(not CASES, reason=f"no adapters at {DATA}")


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_pefts(name: str, device: str) -> None:
    case = CASES[name]
    model = DATA / f"base-{case['base']}"
    with LLM(model, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
        for adapter in case["adapters"]:
            llm.inner.adapters.load(adapter, DATA / adapter)
        applied = llm.inner.adapters.applied(",".join(case["adapters"]))
        request = llm.inner.logits_request(IDS)
        (found,) = llm._results([replaced(request, applied)])
        assert found.error is None
        assert found.prompt_logits is not None
        check(found.prompt_logits[-1], case["logits"])
        (base,) = llm._results([request])
        assert base.prompt_logits is not None
        check(base.prompt_logits[-1], CASES[f"base-{case['base']}"]["logits"])


def replaced(request: Any, applied: Any) -> Any:
    return replace(request, id=f"{request.id}+", adapters=applied)


def check(found: Any, expected: Any) -> None:
    error = np.abs(found - np.array(expected)).max() / np.abs(expected).max()
    assert error < 1e-4, error
