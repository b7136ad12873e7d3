"""LiteLLM, by its providers openai and anthropic."""

from __future__ import annotations

import json
import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from pydantic import BaseModel

from .feature import CITY, STORY, Features, expect
from .with_openai import TOOL

feature = Features("litellm")
ASK = [{"role": "user", "content": CITY}]


class Place(BaseModel):
    city: str
    warm: bool


def ask(url: str, content: str = CITY, provider: str = "openai", **more: Any) -> Any:
    base = f"{url}/v1" if provider.endswith("openai") else url
    return litellm.completion(
        model=f"{provider}/default", api_base=base, api_key="none",
        messages=[{"role": "user", "content": content}], **{"max_tokens": 60, **more},
    )  # fmt: skip


@feature("completion")
def completion(url: str) -> None:
    expect(ask(url, STORY).choices[0].message.content, "content")


@feature("embedding")
def embedding(url: str) -> None:
    made = litellm.embedding(
        "openai/default", input=["hail", "a story"], api_base=f"{url}/v1", api_key="none"
    )
    expect(len(made.data) == 2 and len(made.data[0]["embedding"]) > 8, "two vectors")


@feature("completion, streamed")
def streamed(url: str) -> None:
    pieces = [chunk.choices[0].delta.content or "" for chunk in ask(url, STORY, stream=True)]
    expect("".join(pieces), "content")


@feature("tools")
def tools(url: str) -> None:
    (call,) = ask(url, tools=[TOOL], temperature=0).choices[0].message.tool_calls
    expect(json.loads(call.function.arguments) == {"city": "Lisbon"}, call.function.arguments)


@feature("response_format of a pydantic model")
def response_format(url: str) -> None:
    Place.model_validate_json(ask(url, response_format=Place).choices[0].message.content)


@feature("text completion")
def text_completion(url: str) -> None:
    expect(ask(url, "Once", "text-completion-openai").choices[0].message.content, "content")


@feature("responses")
def responses(url: str) -> None:
    found = litellm.responses(
        model="openai/default", api_base=f"{url}/v1", api_key="none", input=STORY,
        max_output_tokens=20,
    )  # fmt: skip
    expect(found.output[0].content[0].text, "text")


@feature("anthropic/ completion")
def anthropic(url: str) -> None:
    expect(ask(url, STORY, "anthropic").choices[0].message.content, "content")


@feature("anthropic/ tools")
def anthropic_tools(url: str) -> None:
    (call,) = (
        ask(url, provider="anthropic", tools=[TOOL], temperature=0).choices[0].message.tool_calls
    )
    expect(json.loads(call.function.arguments) == {"city": "Lisbon"}, call.function.arguments)


if __name__ == "__main__":
    feature.main()
