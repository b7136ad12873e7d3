"""Scores of pairs of texts: every family against transformers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import tramontane
import transformers
from tramontane.errors import ConfigError, RequestError
from tramontane.tasks.rank import Scores

from .encoders import SIZES, TEXTS, byte_level, unigram, word_piece, write

T: Any = transformers
PAIRS = [(TEXTS[0], text) for text in TEXTS]
Made = Callable[[int], Any]


def bert(count: int, labels: int = 1) -> Any:
    return T.BertForSequenceClassification(T.BertConfig(
        **SIZES, vocab_size=count, num_labels=labels, max_position_embeddings=64
    ))  # fmt: skip


FAMILIES: dict[str, tuple[Made, Callable[[], tokenizers.Tokenizer]]] = {
    "bert": (bert, word_piece),
    "several labels": (lambda n: bert(n, 3), word_piece),
    "roberta": (
        lambda n: T.RobertaForSequenceClassification(
            T.RobertaConfig(**SIZES, vocab_size=n, num_labels=1, type_vocab_size=2)
        ),
        byte_level,
    ),
    "xlmr": (
        lambda n: T.XLMRobertaForSequenceClassification(
            T.XLMRobertaConfig(**SIZES, vocab_size=n, num_labels=1, type_vocab_size=2)
        ),
        unigram,
    ),
    "distilbert": (
        lambda n: T.DistilBertForSequenceClassification(T.DistilBertConfig(
            dim=32, hidden_dim=48, n_layers=2, n_heads=4, vocab_size=n, num_labels=1
        )),
        word_piece,
    ),
    "modernbert": (
        lambda n: T.ModernBertForSequenceClassification(T.ModernBertConfig(
            **SIZES, vocab_size=n, num_labels=1, local_attention=8, pad_token_id=1,
            bos_token_id=0, cls_token_id=0, eos_token_id=2, sep_token_id=2,
            classifier_pooling="mean",
        )),
        byte_level,
    ),
}  # fmt: skip


def logits(model: Any, tokenizer: tokenizers.Tokenizer, pair: tuple[str, str]) -> torch.Tensor:
    """By transformers, (labels)."""
    encoded = tokenizer.encode(*pair)
    told = {"input_ids": torch.tensor([encoded.ids])}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        told["token_type_ids"] = torch.tensor([encoded.type_ids])
    with torch.no_grad():
        found: torch.Tensor = model(**told).logits[0]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    made, vocabulary = FAMILIES[family]
    tokenizer = vocabulary()
    reference = write(tmp_path, made, tokenizer)
    raw = torch.stack([logits(reference, tokenizer, pair) for pair in PAIRS])
    with tramontane.load(tmp_path) as model:
        assert isinstance(model, tramontane.Reranker)
        found = np.array(model.score(PAIRS, raw=True).values).reshape(raw.shape)
        np.testing.assert_allclose(found, raw.numpy(), atol=1e-5, rtol=0)
        scores = model.score(PAIRS)
        if raw.shape[1] > 1:  # no function behind several labels
            np.testing.assert_allclose(np.array(scores.values), raw.numpy(), atol=1e-5, rtol=0)
            with pytest.raises(RequestError, match="gives 3 scores for a pair"):
                model.rank("a", TEXTS)
            return
        expected = torch.sigmoid(raw[:, 0])
        np.testing.assert_allclose(scores.values, expected.numpy(), atol=1e-5, rtol=0)
        for pair, score in zip(PAIRS, scores.values, strict=True):
            assert model.score([pair]).values == (score,)
        ranked = model.rank(TEXTS[0], TEXTS, top_n=2)
        best = expected.argsort(descending=True)[:2].tolist()
        assert [each.index for each in ranked] == best
        assert [each.document for each in ranked] == [TEXTS[index] for index in best]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("rank")
    write(found, bert, word_piece())
    return found


def test_long_pairs_are_cut_as_transformers_cuts_them(folder: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    reference = T.BertForSequenceClassification.from_pretrained(folder)
    long, short = "cat dog " * 40, "the fox"
    tokenizer.enable_truncation(64, strategy="longest_first")
    with tramontane.Reranker(folder) as model:
        with pytest.raises(RequestError, match=r"pairs\[0\] has \d+ tokens, \d+ more"):
            model.score([(short, long)])
        for pair in ((short, long), (long, short), (long, long), (long, f"{long} a")):
            expected = logits(reference, tokenizer, pair)
            found = model.score([pair], raw=True, truncate=True)
            np.testing.assert_allclose(found.values[0], expected[0].item(), atol=1e-5)
            assert found.tokens == (64,)


def test_bad_input(folder: Path, tmp_path: Path) -> None:
    with tramontane.Reranker(folder) as model:
        for query, documents, said in (
            ("a", [], "there is no document"),
            ("a", "text", "documents should be a list of texts"),
            (3, ["a"], "query should be a text"),
            ("", ["a"], r"pairs\[0\]\[0\] is empty"),
            ("a", ["b", 3], r"documents\[1\] should be a text"),
        ):
            with pytest.raises(RequestError, match=said):
                model.rank(query, documents)  # type: ignore[arg-type]
        # a query is read once for each document, so its length is looked at before
        with pytest.raises(RequestError, match=r"pairs\[0\] has a text of 4000000 characters"):
            model.rank("cat " * 1_000_000, ["b"] * 2048)
        cut = model.score([("cat " * 1_000_000, "fox")], truncate=True)
        assert cut == model.score([("cat " * 400, "fox")], truncate=True)
        with pytest.raises(RequestError, match="reads no instruction"):
            model.rank("a", ["b"], instruction="c")
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.activation.Exp"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"activation_fn 'torch.nn.modules.activation.Exp'"):
        tramontane.Reranker(tmp_path)
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with tramontane.Reranker(tmp_path) as model:
        assert model.score(PAIRS) == model.score(PAIRS, raw=True)


WORDS = ["yes", "no", "<|im_start|>", "<|im_end|>"]


def test_a_decoder_that_answers_yes_or_no(tmp_path: Path) -> None:
    from tramontane_arch_qwen.rerank import BEFORE, BEHIND, INSTRUCTION

    tokenizer = byte_level()
    tokenizer.add_special_tokens(WORDS)
    sizes = {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 2048}
    reference = write(
        tmp_path, lambda n: T.Qwen3ForCausalLM(T.Qwen3Config(**sizes, vocab_size=n)), tokenizer
    )
    yes, no = tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")
    expected = []
    for query, document in PAIRS:
        text = f"<Instruct>: {INSTRUCTION}\n<Query>: {query}\n<Document>: {document}"
        ids = [
            token
            for part in (BEFORE, text, BEHIND)
            for token in tokenizer.encode(part, add_special_tokens=False).ids
        ]
        with torch.no_grad():
            last = reference(torch.tensor([ids])).logits[0, -1]
        expected.append(torch.softmax(last[[no, yes]], 0)[1].item())
    with tramontane.Reranker(tmp_path) as model:
        found = model.score(PAIRS)
        np.testing.assert_allclose(found.values, expected, atol=1e-5)
        assert model.score(PAIRS[:1]).values == found.values[:1]
        other = model.score(PAIRS, instruction="Find a cat").values
        assert other != found.values


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tramontane.cli.main import main

    assert main(["rank", TEXTS[0], *TEXTS, "-m", str(folder), "--json", "--top-n", "2"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with tramontane.Reranker(folder) as model:
        ranked = model.rank(TEXTS[0], TEXTS, top_n=2)
    assert [(each["index"], each["score"]) for each in printed] == [
        (each.index, each.score) for each in ranked
    ]
    assert main(["embed", "a", "-m", str(folder)]) == 1
    assert "on the command line: tramontane rank" in capsys.readouterr().err


def test_scores_are_numbers() -> None:
    assert Scores((0.5, -1.0), (3, 3)).values == (0.5, -1.0)
    for values in ((0.5, math.nan), ((0.5, 1.0), (0.5, -math.inf))):
        with pytest.raises(RequestError, match=r"in the score of pairs\[1\]: its weights"):
            Scores(values, (3, 3))
