"""Sampling fields are keywords of `generate` and `chat`; anything else unknown is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from tramontane import LLM, AsyncLLM, SamplingParams
from tramontane.errors import RequestError
from tramontane.sampling_keywords import Sampling

from .tiny import write_model

FIELDS: dict[str, Any] = {"temperature": 0, "max_tokens": 6, "ignore_eos": True}
GREEDY = SamplingParams(**FIELDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder)
    return folder


@pytest.fixture(scope="module")
def llm(folder: Path) -> Iterator[LLM]:
    with LLM(folder, device="reference") as model:
        yield model


def test_every_field_is_a_keyword() -> None:
    hints = get_type_hints(Sampling)
    assert set(hints) == set(SamplingParams.model_fields)
    optional = {n for n, f in SamplingParams.model_fields.items() if f.default is None}
    assert {name for name, hint in hints.items() if type(None) in get_args(hint)} >= optional - {
        "best_of"
    }


@pytest.mark.parametrize("method", ["generate", "chat"])
def test_keywords_do_what_params_do(llm: LLM, method: str) -> None:
    ask: Callable[..., Any] = getattr(llm, method)
    expected = ask("hi", GREEDY).token_ids
    assert len(expected) == 6
    assert ask("hi", **FIELDS).token_ids == expected
    assert ask("hi", SamplingParams(temperature=0), max_tokens=6, ignore_eos=True).token_ids == (
        expected
    )
    chunks = list(ask("hi", stream=True, **FIELDS))
    assert tuple(chunk.token for chunk in chunks if chunk.token is not None) == expected
    assert len(ask("hi", **{**FIELDS, "n": 2, "temperature": 1, "seed": 1}).choices) == 2


def test_a_batch_takes_keywords(llm: LLM) -> None:
    assert [len(c.token_ids) for c in llm.generate(["a", "b"], max_tokens=2, ignore_eos=True)] == [
        2,
        2,
    ]


def test_the_async_twins_take_keywords(folder: Path, llm: LLM) -> None:
    async def ask() -> list[Any]:
        async with AsyncLLM(folder, device="reference") as model:
            with pytest.raises(RequestError, match="did you mean 'temperature'"):
                model.generate("hi", temprature=0)  # type: ignore[call-overload]
            streamed = [c.token async for c in model.chat("hi", stream=True, **FIELDS)]
            return [
                (await model.generate("hi", **FIELDS)).token_ids,
                (await model.chat("hi", **FIELDS)).token_ids,
                tuple(token for token in streamed if token is not None),
            ]

    said = llm.chat("hi", GREEDY).token_ids
    assert asyncio.run(ask()) == [llm.generate("hi", GREEDY).token_ids, said, said]


WRONG = [
    ({"temprature": 0}, "there is no parameter 'temprature'; did you mean 'temperature'?"),
    ({"max_token": 3}, "did you mean 'max_tokens'?"),
    ({"top_p": 2}, "top_p=2: must be less than or equal to 1"),
    ({"params": GREEDY, "temperature": 1}, "temperature is given twice, in params and as a"),
    ({"params": {"temperature": 0}}, "params must be a SamplingParams, not dict"),
    ({"schema": {"type": "object"}, "grammar": {"type": "json_object"}}, "exclude each other"),
]


@pytest.mark.parametrize("method", ["generate", "chat"])
@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_cannot_be_is_refused(
    llm: LLM, method: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        getattr(llm, method)("hi", **given)
    assert message in str(caught.value)


TEMPLATE_WRONG = [
    ({"tool": []}, "did you mean 'tools'?"),
    (
        {"enable_thinking": False},
        "there is no parameter 'enable_thinking'; a variable of the chat template is passed as "
        "template_variables={'enable_thinking': False}",
    ),
    ({"template_variables": {"tools": []}}, "has 'tools', which is passed as tools="),
    ({"template_variables": {"messages": []}}, "which is passed as the first argument"),
    ({"template_variables": ["x"]}, "must be a dict of values by name"),
]


@pytest.mark.parametrize(("given", "message"), TEMPLATE_WRONG)
def test_template_variables_are_not_keywords(llm: LLM, given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        llm.chat("hi", **given)
    assert message in str(caught.value)


def test_template_variables_reach_the_template(tmp_path: Path, folder: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{{ top }}{{ messages[0].content }}")
    with LLM(folder, device="reference", chat_template=template) as llm:
        plain = llm.chat("hi", max_tokens=1).usage.prompt_tokens
        more = llm.chat("hi", max_tokens=1, template_variables={"top": "xyz"}).usage.prompt_tokens
        assert more == plain + 3
        # the template has this name, so that is what is meant and not a field of that spelling
        with pytest.raises(RequestError, match=r"template_variables=\{'top': 3\}"):
            llm.chat("hi", **{"top": 3})
