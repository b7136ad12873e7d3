"""Vectors of texts: every family against transformers, and what sentence-transformers adds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import tramontane
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.errors import CheckpointError, RequestError
from tramontane.tasks.queue import Progress

from .encoders import SIZES, TEXTS, byte_level, rows, unigram, word_piece, write, write_modules

T: Any = transformers
DECODER = {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
DISTIL = {"dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4}
Made = Callable[[int], Any]


def bert(count: int) -> Any:
    return T.BertModel(T.BertConfig(**SIZES, vocab_size=count, pad_token_id=0))


def gemma(count: int) -> Any:
    kinds = ["sliding_attention", "sliding_attention", "full_attention"]
    return T.Gemma3TextModel(T.Gemma3TextConfig(
        **DECODER, vocab_size=count, query_pre_attn_scalar=8, sliding_window=8, pad_token_id=1,
        use_bidirectional_attention=True, layer_types=kinds,
    ))  # fmt: skip


FAMILIES: dict[str, tuple[Made, Callable[[], tokenizers.Tokenizer]]] = {
    "bert": (bert, word_piece),
    "distilbert": (
        lambda n: T.DistilBertModel(T.DistilBertConfig(**DISTIL, vocab_size=n)), word_piece
    ),
    "mpnet": (lambda n: T.MPNetModel(T.MPNetConfig(**SIZES, vocab_size=n)), word_piece),
    "roberta": (lambda n: T.RobertaModel(T.RobertaConfig(**SIZES, vocab_size=n)), byte_level),
    "xlmr": (lambda n: T.XLMRobertaModel(T.XLMRobertaConfig(**SIZES, vocab_size=n)), unigram),
    "nomic": (lambda n: T.NomicBertModel(T.NomicBertConfig(**SIZES, vocab_size=n)), word_piece),
    "modernbert": (
        lambda n: T.ModernBertModel(T.ModernBertConfig(
            **SIZES, vocab_size=n, local_attention=8, global_attn_every_n_layers=3,
            pad_token_id=1, bos_token_id=0, cls_token_id=0, eos_token_id=2, sep_token_id=2,
        )),
        byte_level,
    ),
    "gemma3": (gemma, byte_level),
    "qwen3": (lambda n: T.Qwen3Model(T.Qwen3Config(**DECODER, vocab_size=n)), byte_level),
    "mistral": (
        lambda n: T.MistralModel(T.MistralConfig(**DECODER, vocab_size=n, sliding_window=None)),
        byte_level,
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    made, vocabulary = FAMILIES[family]
    tokenizer = vocabulary()
    reference = write(tmp_path, made, tokenizer)
    write_modules(tmp_path, ("Pooling", {"pooling_mode_mean_tokens": True}))
    expected = [rows(reference, tokenizer, text).mean(0).numpy() for text in TEXTS]
    with tramontane.load(tmp_path, device="cpu") as model:
        assert isinstance(model, tramontane.Embedder)
        found = model.embed(TEXTS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
        for text, vector in zip(TEXTS, found, strict=True):  # whatever else is computed
            assert (model.embed(text) == vector).all()
        ids = [tokenizer.encode(text).ids for text in TEXTS]
        assert (model.embed(ids) == found).all()
    if family in ("bert", "modernbert", "gemma3"):
        with tramontane.load(tmp_path, device="reference") as model:
            np.testing.assert_allclose(model.embed(TEXTS), expected, atol=1e-5, rtol=0)


POOLED: dict[str, Callable[[Tensor], Tensor]] = {
    "cls": lambda x: x[0],
    "mean": lambda x: x.mean(0),
    "max": lambda x: x.max(0).values,
    "mean_sqrt_len_tokens": lambda x: x.sum(0) / len(x) ** 0.5,
    "weightedmean": lambda x: (
        sum((i + 1) * row for i, row in enumerate(x)) / sum(range(len(x) + 1))
    ),  # type: ignore[return-value, arg-type]
    "lasttoken": lambda x: x[-1],
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, tokenizers.Tokenizer]:
    """A BERT without modules."""
    folder, tokenizer = tmp_path_factory.mktemp("bert"), word_piece()
    return folder, write(folder, bert, tokenizer), tokenizer


def beside(plain: tuple[Path, Any, tokenizers.Tokenizer], folder: Path) -> Path:
    """Its files in another folder, for other modules."""
    for path in plain[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_all_kinds_of_pooling(plain: Any) -> None:
    folder, reference, tokenizer = plain
    hidden = [rows(reference, tokenizer, text) for text in TEXTS]
    with tramontane.Embedder(folder) as model:
        for mode, pool in POOLED.items():
            expected = np.stack([pool(each).numpy() for each in hidden])
            found = model.embed(TEXTS, pooling=mode)
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
        assert (model.embed(TEXTS, pooling="last") == found).all()
        assert (model.embed(TEXTS) == model.embed(TEXTS, pooling="mean")).all()


def test_modules_prompts_and_shorter_vectors(plain: Any, tmp_path: Path) -> None:
    import torch

    folder = beside(plain, tmp_path)
    _, reference, tokenizer = plain
    flags = {
        "pooling_mode_cls_token": True,
        "pooling_mode_lasttoken": True,
        "include_prompt": False,
    }
    dense = {"in_features": 64, "out_features": 12, "bias": True,
             "activation_function": "torch.nn.modules.activation.Tanh"}  # fmt: skip
    write_modules(
        folder, ("Pooling", flags), ("Dense", dense), ("Normalize", {}),
        prompts={"query": "the quick ", "document": ""}, default_prompt_name="query",
    )  # fmt: skip
    make = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(12, 64, generator=make) / 8, torch.randn(12, generator=make)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense/model.safetensors")

    def expected(text: str, prompt: str) -> Any:
        # [CLS] and the prompt's tokens, without the [SEP] behind them
        skipped = len(tokenizer.encode(prompt).ids) - 1 if prompt else 0
        hidden = rows(reference, tokenizer, prompt + text)[skipped:]
        x = torch.tanh(weight @ torch.cat((hidden[0], hidden[-1])) + bias)
        return (x / x.norm()).numpy()

    with tramontane.Embedder(folder) as model:
        assert (model.dimensions, dict(model.prompts)) == (
            12, {"query": "the quick ", "document": ""}
        )  # fmt: skip
        queries = np.stack([expected(text, "the quick ") for text in TEXTS])
        np.testing.assert_allclose(model.embed(TEXTS), queries, atol=1e-5, rtol=0)
        for options in ({"prompt_name": "document"}, {"prompt": ""}):
            documents = np.stack([expected(text, "") for text in TEXTS])
            np.testing.assert_allclose(model.embed(TEXTS, **options), documents, atol=1e-5, rtol=0)
        short = model.embed(TEXTS, dimensions=5)
        cut = queries[:, :5] / np.linalg.norm(queries[:, :5], axis=1, keepdims=True)
        np.testing.assert_allclose(short, cut, atol=1e-5, rtol=0)
        for options, said in (
            ({"prompt_name": "x"}, "has no prompt 'x'; it has: query, document"),
            ({"prompt_name": "query", "prompt": "a"}, "exclude each other"),
            ({"dimensions": 13}, "dimensions 13 are more than a vector has, 12"),
            ({"dimensions": 0}, "dimensions should be a whole number"),
            ({"pooling": "max"}, "which its further matrices were made for"),
        ):
            with pytest.raises(RequestError, match=said):
                model.embed(TEXTS, **options)


def test_hidden_states_of_a_model_that_writes_text(tmp_path: Path) -> None:
    from .tiny import write_model

    reference = write_model(tmp_path).model
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    expected = [rows(reference, tokenizer, text) for text in TEXTS]
    means = np.stack([each.mean(0).numpy() for each in expected])
    with tramontane.LLM(tmp_path, kv_type="f32") as llm:
        before = llm.generate("The", max_tokens=5, temperature=0).text
        np.testing.assert_allclose(llm.embed(TEXTS), means, atol=1e-5, rtol=0)
        last = llm.embed(TEXTS, pooling="last")
        np.testing.assert_allclose(last, [each[-1] for each in expected], atol=1e-5, rtol=0)
        assert llm.generate("The", max_tokens=5, temperature=0).text == before

    async def ask() -> Any:
        async with tramontane.AsyncEmbedder(tmp_path) as model:
            return await model.embed(TEXTS)

    np.testing.assert_allclose(asyncio.run(ask()), means, atol=1e-5, rtol=0)
    # more texts than the engine lets wait are one request all the same
    with tramontane.Embedder(tmp_path, max_waiting=1) as model:
        many = model.embed(TEXTS * 10)
    np.testing.assert_allclose(many, np.tile(means, (10, 1)), atol=1e-5, rtol=0)


def test_bad_texts_and_long_ones(plain: Any) -> None:
    folder, _, tokenizer = plain
    with tramontane.Embedder(folder, max_waiting=4) as model:
        long = "cat " * 600
        for texts, said in (
            ([], "there is no text"),
            (["a", " "], r"texts\[1\] is empty"),
            (["a", 3], r"texts\[1\] should be a text or a list of token ids, not 3"),
            ([[1, 99_999]], "token 99999 is outside the vocabulary"),
            ([[]], r"texts\[0\] is empty"),
            (["\ud800"], "half of a surrogate pair"),
            ([long], r"texts\[0\] has 602 tokens, 90 more than the model takes, 512"),
        ):
            with pytest.raises(RequestError, match=said):
                model.embed(texts)
        ids = tokenizer.encode(long).ids
        whole = model.embed([[*ids[:511], ids[-1]]])
        assert (model.embed([long], truncate=True) == whole).all()
        with pytest.raises(RequestError, match=r"there is no option 'device_'.*'device'"):
            tramontane.Embedder(folder, device_="cpu")
        shown: list[Progress] = []
        model.embed(TEXTS, progress=shown.append)
        assert (shown[-1].done, shown[-1].total, shown[-1].what) == (4, 4, "texts")


def test_the_wrong_class_is_answered_with_the_right_one(plain: Any) -> None:
    for face in (tramontane.LLM, tramontane.Reranker, tramontane.ImageModel):
        with pytest.raises(RequestError, match=r"makes vectors of texts.*tramontane\.Embedder"):
            face(plain[0])
    with pytest.raises(RequestError, match="there is no task 'sing'"):
        tramontane.load(plain[0], task="sing")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("modules.json", "[", "cannot be read"),
        ("modules.json", "[" * 100_000, "cannot be read"),
        ("modules.json", "[]", "must list 1 to 16 modules"),
        ("modules.json", '[{"type": "a.Transformer", "path": "../x"}]', "no name of a folder"),
        ("modules.json", '[{"type": "a.CNN", "path": "1"}]', "'CNN' is not supported"),
        ("1_Pooling/config.json", '{"pooling_mode": "best"}', "pooling_mode 'best'"),
        ("config_sentence_transformers.json", '{"prompts": {"q": 3}}', "must be texts"),
        ("config_sentence_transformers.json", '{"truncate_dim": -1}', "truncate_dim -1"),
    ],
)
def test_damaged_modules_are_refused(
    plain: Any, tmp_path: Path, name: str, content: str, said: str
) -> None:
    folder = beside(plain, tmp_path)
    write_modules(folder, ("Pooling", {"pooling_mode": "mean"}))
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=said):
        tramontane.Embedder(folder)


def test_quantized_while_it_is_read(plain: Any) -> None:
    folder, _, _ = plain
    with tramontane.Embedder(folder) as model, tramontane.Embedder(folder, isq="q8_0") as small:
        assert small.report.quantized is not None
        assert small.report.quantized.kinds
        a, b = model.embed(TEXTS), small.embed(TEXTS)
        assert not (a == b).all()
        np.testing.assert_allclose(a, b, atol=0.1, rtol=0)
        for text, vector in zip(TEXTS, b, strict=True):
            assert (small.embed(text) == vector).all()


def test_a_model_that_overflows_has_no_vectors(plain: Any, tmp_path: Path) -> None:
    folder = beside(plain, tmp_path)
    weights = load_file(folder / "model.safetensors")
    last = [name for name in weights if name.endswith("output.LayerNorm.weight")][-1]
    weights[last] = weights[last].fill_(3e38)
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors")
    with (
        tramontane.Embedder(folder) as model,
        pytest.raises(RequestError, match=r"computed -?(inf|nan) in the vector of texts\[0\]"),
    ):
        model.embed(TEXTS)


def test_the_command(plain: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tramontane.cli.main import main

    folder = str(plain[0])
    assert main(["embed", *TEXTS[:2], "-m", folder]) == 0
    printed = capsys.readouterr()
    with tramontane.Embedder(folder) as model:
        found = [json.loads(line) for line in printed.out.splitlines()]
        np.testing.assert_array_equal(np.float32(found), model.embed(TEXTS[:2]))
    assert "2 vectors of 32 numbers" in printed.err
    (tmp_path / "texts").write_text("\n".join(TEXTS))
    output = tmp_path / "out.npy"
    assert main(["embed", "-f", str(tmp_path / "texts"), "-m", folder, "-o", str(output)]) == 0
    assert np.load(output).shape == (4, 32)
    capsys.readouterr()
    assert main(["embed", "-m", folder, "a", "-o", "out.txt"]) == 2
    assert "must end in .npy" in capsys.readouterr().err
    assert main(["run", "-m", folder, "-i", "a"]) == 1
    assert "on the command line: tramontane embed" in capsys.readouterr().err
