"""What docs/embeddings.md shows runs as it is written, with tiny models."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from .encoders import SIZES, word_piece, write, write_modules

T: Any = transformers
PAGE = (Path(__file__).parents[1] / "docs/embeddings.md").read_text("utf-8")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the page calls models, to folders."""
    vectors, scores = (tmp_path_factory.mktemp(name) for name in ("vectors", "scores"))
    write(vectors, lambda n: T.BertModel(T.BertConfig(**SIZES, vocab_size=n)), word_piece())
    prompts = {"query": "search: "}
    write_modules(
        vectors, ("Pooling", {"pooling_mode": "mean"}), ("Normalize", {}), prompts=prompts
    )
    ranks = T.BertForSequenceClassification
    write(scores, lambda n: ranks(T.BertConfig(**SIZES, vocab_size=n, num_labels=1)), word_piece())
    return {"RERANKER": str(scores), "MODEL": str(vectors)}


def blocks(kind: str, section: str, names: dict[str, str]) -> list[str]:
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    for said, folder in names.items():
        found = [re.sub(rf"\b{said}\b", folder, each) for each in found]
    assert found
    return found


def test_python(names: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    context: dict[str, Any] = {"__name__": "page"}
    (code,) = blocks("python", "Make vectors", names)
    exec(compile(f"import tramontane\n{code}", "page", "exec"), context)
    assert context["vectors"].shape == (2, 32)
    np.testing.assert_allclose(np.linalg.norm(context["vectors"], axis=1), 1, atol=1e-6)
    (code,) = blocks("python", "Rank documents", names)
    exec(compile(code, "page", "exec"), context)
    assert len(context["scores"]) == 1
    assert capsys.readouterr().out.count("\n") == 2


def test_commands(
    names: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from tramontane.cli.main import main

    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("a cat\na dog\n")
    for section in ("Make vectors", "Rank documents"):
        for line in "".join(blocks("sh", section, names)).splitlines():
            command = shlex.split(
                line.replace("--dimensions 256", "--dimensions 16"), comments=True
            )
            assert command[0] == "tramontane"
            assert main(command[1:]) == 0, line
    assert np.load("vectors.npy").shape == (2, 32)
    assert "2 vectors of 32 numbers" in capsys.readouterr().err
