"""Adapters merged into the weights: the logits of peft, and those of the adapters beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane import LLM
from tramontane.errors import AdapterError

from .test_golden import CASES, DATA, IDS, NAMES, check, replaced

pytestmark = pytest.mark.skipif(not CASES, reason=f"no adapters at {DATA}")
EXACT: dict[str, Any] = {"dtype": "f32", "activations": "f32", "kv_type": "f32"}
BIASED = "which has none of its own: it cannot be merged"


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_pefts_and_those_beside_the_weights(name: str, device: str) -> None:
    case = CASES[name]
    model, sources = DATA / f"base-{case['base']}", {each: DATA / each for each in case["adapters"]}
    with LLM(model, device=device, adapters=sources, **EXACT) as llm:
        applied = llm.inner.adapters.applied(",".join(sources))
        (beside,) = llm._results([replaced(llm.inner.logits_request(IDS), applied)])
    try:
        merged = LLM(model, device=device, adapters=sources, merge_adapters=True, **EXACT)
    except AdapterError as error:
        assert BIASED in str(error)  # noqa: PT017 - of those only that peft cannot merge either
        assert "bias" in name
        return
    with merged as llm:
        assert llm.adapters == []
        assert llm.report.merged[0].startswith(f"merged {', '.join(sources)}: ")
        found = llm.logits(IDS)
    assert beside.prompt_logits is not None
    error = np.abs(found - beside.prompt_logits).max() / np.abs(beside.prompt_logits).max()
    assert error < 1e-5, error
    check(found[-1], case["logits"])
