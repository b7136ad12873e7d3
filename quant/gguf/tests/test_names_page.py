"""The guide's tables of translated tensor names and metadata keys are the code's."""

from __future__ import annotations

from pathlib import Path

from tramontane_quant_gguf.config import WORDS
from tramontane_quant_gguf.names import DECODER
from tramontane_quant_gguf.names_page import with_names

PAGE = Path(__file__).parents[3] / "docs/writing-an-architecture.md"


def test_the_page_is_current() -> None:
    text = PAGE.read_text("utf-8")
    run = "run: python -m tramontane_quant_gguf.names_page docs/writing-an-architecture.md"
    assert with_names(text) == text, run
    assert all(f"| `{name.replace('{}', 'N')}` |" in text for name in [*DECODER, *WORDS])
