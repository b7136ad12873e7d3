"""Vectors and scores from a live server, by OpenAI's own client and as plain requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import tokenizers
import tramontane
import transformers

from tests.encoders import SIZES, TEXTS, word_piece, write

from .live_server import Live, serving

T: Any = transformers


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An encoder for vectors, and one that scores."""
    vectors, scores = (tmp_path_factory.mktemp(name) for name in ("vectors", "scores"))
    write(vectors, lambda n: T.BertModel(T.BertConfig(**SIZES, vocab_size=n)), word_piece())
    ranks = T.BertForSequenceClassification
    write(scores, lambda n: ranks(T.BertConfig(**SIZES, vocab_size=n, num_labels=1)), word_piece())
    return vectors, scores


@pytest.fixture(scope="module")
def server(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Three models of three tasks: the embedded one writes text."""
    folder = tmp_path_factory.mktemp("tasks")
    config = folder / "serve.toml"
    models = {"text": "default", "vectors": folders[0], "scores": folders[1]}
    config.write_text(
        "\n".join(f'[[models]]\nname = "{name}"\nmodel = "{path}"' for name, path in models.items())
    )
    with serving(folder, "--config", str(config)) as live:
        yield live


@pytest.fixture
def client(server: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none needed", max_retries=0) as found:
        yield found


def vectors_of(answer: Any) -> Any:
    assert [each.index for each in answer.data] == list(range(len(answer.data)))
    return np.array([each.embedding for each in answer.data], np.float32)


def test_openais_client_gets_vectors(client: openai.OpenAI, folders: tuple[Path, Path]) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(folders[0] / "tokenizer.json"))
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    with tramontane.Embedder(folders[0]) as model:
        expected = model.embeddings(TEXTS)
        short = model.embed(TEXTS, dimensions=7)
    # without a format this client asks for base64
    for options in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        answer = client.embeddings.create(model="vectors", input=TEXTS, **options)  # type: ignore[call-overload]
        if options.get("encoding_format") != "base64":
            np.testing.assert_array_equal(vectors_of(answer), expected.vectors)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == expected.total_tokens
    answer = client.embeddings.create(model="vectors", input=ids)
    np.testing.assert_array_equal(vectors_of(answer), expected.vectors)
    for one in (TEXTS[0], ids[0]):
        answer = client.embeddings.create(model="vectors", input=one)
        np.testing.assert_array_equal(vectors_of(answer), expected.vectors[:1])
    answer = client.embeddings.create(model="vectors", input=TEXTS, dimensions=7)
    np.testing.assert_array_equal(vectors_of(answer), short)
    # of a model that writes text: hidden states
    assert vectors_of(client.embeddings.create(model="text", input="a cat")).shape[0] == 1


def test_many_at_once_get_the_same_bits(server: Live, folders: tuple[Path, Path]) -> None:
    with tramontane.Embedder(folders[0]) as model:
        expected = model.embed(TEXTS)

    async def ask() -> list[Any]:
        url = f"{server.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="x") as client:
            asked = [
                client.embeddings.create(model="vectors", input=TEXTS[i % 4 :]) for i in range(8)
            ]
            return await asyncio.gather(*asked)

    for index, answer in enumerate(asyncio.run(ask())):
        np.testing.assert_array_equal(vectors_of(answer), expected[index % 4 :])
    assert server.figure("tramontane_task_requests_total") >= 8
    assert server.figure("tramontane_tasks_running") == 0


def test_documents_are_ranked_and_pairs_scored(server: Live, folders: tuple[Path, Path]) -> None:
    with tramontane.Reranker(folders[1]) as model:
        ranked = model.rank(TEXTS[0], TEXTS)
    asked = {"model": "scores", "query": TEXTS[0], "documents": TEXTS}
    with server.client() as client:
        found = client.post("/v1/rerank", json={**asked, "return_documents": True}).json()
        assert [
            (each["index"], each["relevance_score"], each["document"]["text"])
            for each in found["results"]
        ] == [(each.index, each.score, each.document) for each in ranked]
        objects = {**asked, "documents": [{"text": text} for text in TEXTS], "top_n": 1}
        (best,) = client.post("/v1/rerank", json=objects).json()["results"]
        assert (best["index"], best["document"]) == (ranked[0].index, None)
        scored = {"model": "scores", "text_1": TEXTS[0], "text_2": TEXTS}
        data = client.post("/v1/score", json=scored).json()["data"]
        by_index = {each.index: each.score for each in ranked}
        assert {each["index"]: each["score"] for each in data} == by_index
        answer = client.post("/v1/score", json={**scored, "text_1": TEXTS[:2]})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "text_1")


@pytest.mark.parametrize(
    ("path", "model", "said"),
    [
        ("/v1/chat/completions", "vectors", "makes vectors of texts.*POST /v1/embeddings"),
        ("/v1/completions", "scores", "scores documents for a query.*POST /v1/rerank"),
        ("/v1/embeddings", "scores", "POST /v1/rerank"),
        ("/v1/rerank", "vectors", "POST /v1/embeddings"),
        ("/v1/rerank", "text", "writes text.*POST /v1/chat/completions"),
    ],
)
def test_the_wrong_route_names_the_right_one(
    server: Live, path: str, model: str, said: str
) -> None:
    bodies: dict[str, Any] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "a"}]},
        "/v1/completions": {"prompt": "a"},
        "/v1/embeddings": {"input": "a"},
        "/v1/rerank": {"query": "a", "documents": ["b"]},
    }
    with server.client() as client:
        answer = client.post(path, json={"model": model, **bodies[path]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "model_not_supported")
    import re

    assert re.search(said, error["message"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input": ["a", " "]}, r"texts\[1\] is empty"),
        ({"input": "cat " * 600}, r"602 tokens, 90 more than the model takes, 512"),
        ({"input": [5, 99_999]}, "outside the vocabulary"),
        ({"input": "a", "dimensions": 33}, "dimensions 33 are more than a vector has, 32"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
    ],
)
def test_bad_requests_are_refused(client: openai.OpenAI, options: Any, said: str) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        client.embeddings.create(model="vectors", **options)


def test_models_are_listed_and_counted(server: Live) -> None:
    with server.client() as client:
        models = {each["id"]: each for each in client.get("/v1/models").json()["data"]}
        assert models["vectors"]["max_model_len"] == 512
        assert client.get("/ready").status_code == 200
        assert client.get("/health").status_code == 200
