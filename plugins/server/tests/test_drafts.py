"""A server with a drafter: its answers are the same, and what was guessed is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from .live_server import Live, serving

ASKED = {"prompt": "Once upon a time", "max_tokens": 40, "temperature": 0, "seed": 1}


@pytest.mark.parametrize("draft", ["default:max=2", "suffix"])
def test_guesses_are_counted(draft: str, live: Live, tmp_path: Path) -> None:
    with live.client() as client:
        expected = client.post("/v1/completions", json=ASKED).json()
    with serving(tmp_path, "-m", "default", "--draft", draft) as drafting:
        with drafting.client() as client:
            found = [client.post("/v1/completions", json=ASKED).json() for _ in range(2)]
        assert all(each["choices"] == expected["choices"] for each in found)
        assert drafting.figure("tramontane_drafted_tokens_total") > 0
        assert ("drafts by" in drafting.log.read_text()) == draft.startswith("default")
    told = [each["usage"].get("completion_tokens_details", {}) for each in found]
    assert any("accepted_prediction_tokens" in each for each in told)


def test_a_draft_that_cannot_be_ends_the_start(tmp_path: Path) -> None:
    with serving(tmp_path, "-m", "default", "--draft", "./nothing", ready=False) as failing:
        assert failing.process.wait(timeout=60) != 0
        assert "./nothing" in failing.log.read_text()
