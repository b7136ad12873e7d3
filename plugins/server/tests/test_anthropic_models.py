"""Models as Anthropic's clients list them and look them up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from .live_server import Live, serving
from .test_models import file_of

NAMES = ["one", "two", "three"]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder: Path = tmp_path_factory.mktemp("several")
    options: list[str] = []
    for name in NAMES:
        options += ["-m", str(file_of(f"{name}.gguf", folder))]
    with serving(folder, *options, "--load", "demand") as live:
        yield live


@pytest.fixture
def client(several: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=several.url, api_key="x", max_retries=0) as found:
        yield found


def test_a_list_and_its_pages(client: anthropic.Anthropic, several: Live) -> None:
    for limit in (1, 2, 3, 20):
        assert [model.id for model in client.models.list(limit=limit)] == NAMES
    first = client.models.list(limit=2)
    assert (first.has_more, first.first_id, first.last_id) == (True, "one", "two")
    after = client.models.list(after_id="two")
    assert ([model.id for model in after.data], after.has_more) == (["three"], False)
    before = client.models.list(before_id="three", limit=1)
    assert ([model.id for model in before.data], before.has_more) == (["two"], True)
    assert client.models.list(before_id="one").data == []
    for model in client.models.list():
        assert (model.type, model.display_name) == ("model", model.id)
        assert model.created_at.tzinfo is not None
    with pytest.raises(anthropic.BadRequestError, match="after_id: there is no model 'four'"):
        client.models.list(after_id="four")
    for limit in (0, 1001):
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            client.models.list(limit=limit)
    with openai.OpenAI(base_url=f"{several.url}/v1", api_key="x") as other:
        assert [model.id for model in other.models.list()] == NAMES


def test_one_of_them(client: anthropic.Anthropic, several: Live) -> None:
    model = client.models.retrieve("two")
    assert (model.id, model.lifecycle, model.max_input_tokens) == ("two", "active", None)
    with pytest.raises(anthropic.NotFoundError, match="there is no model 'four'") as caught:
        client.models.retrieve("four")
    assert caught.value.type == "not_found_error"
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    with openai.OpenAI(base_url=f"{several.url}/v1", api_key="x", max_retries=0) as other:
        with pytest.raises(openai.NotFoundError) as refused:
            other.models.retrieve("four")
        assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
        assert other.models.retrieve("two").owned_by == "tramontane"
