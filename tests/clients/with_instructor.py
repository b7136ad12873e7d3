"""Instructor, in every mode that its clients for OpenAI and Anthropic take."""

from __future__ import annotations

from collections.abc import Iterable

import anthropic
import instructor
import openai
from instructor import Mode
from pydantic import BaseModel

from .feature import CITY, Features, expect

feature = Features("instructor", "openai", "anthropic")
ASK = [{"role": "user", "content": CITY}]
OPENAI = [
    Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON, Mode.JSON_SCHEMA, Mode.MD_JSON, Mode.JSON_O1,
    Mode.FUNCTIONS, Mode.RESPONSES_TOOLS,
]  # fmt: skip
CLAUDE = [Mode.ANTHROPIC_TOOLS, Mode.ANTHROPIC_JSON, Mode.ANTHROPIC_PARALLEL_TOOLS]


class Place(BaseModel):
    """A place."""

    city: str
    warm: bool


def gpt(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def by_openai(mode: Mode) -> None:
    @feature(f"OpenAI, {mode.name}")
    def made(url: str) -> None:
        found = instructor.from_openai(gpt(url), mode=mode).chat.completions.create(
            model="default", messages=ASK, response_model=Place, max_retries=0, temperature=0
        )
        expect(isinstance(found, Place), "a Place")


def by_anthropic(mode: Mode) -> None:
    @feature(f"Anthropic, {mode.name}")
    def made(url: str) -> None:
        several = mode is Mode.ANTHROPIC_PARALLEL_TOOLS
        client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
        found = instructor.from_anthropic(client, mode=mode).messages.create(
            model="default", messages=ASK, response_model=Iterable[Place] if several else Place,
            max_retries=0, max_tokens=100, temperature=0,
        )  # fmt: skip
        expect(all(isinstance(one, Place) for one in found) if several else found, "a Place")


for mode in OPENAI:
    by_openai(mode)


@feature("OpenAI, PARALLEL_TOOLS")
def parallel(url: str) -> None:
    client = instructor.from_openai(gpt(url), mode=Mode.PARALLEL_TOOLS)
    found = client.chat.completions.create(
        model="default", messages=ASK, response_model=Iterable[Place], max_retries=0, temperature=0
    )
    expect(all(isinstance(one, Place) for one in found), "places")


@feature("OpenAI, JSON_SCHEMA, create_partial")
def partial(url: str) -> None:
    client = instructor.from_openai(gpt(url), mode=Mode.JSON_SCHEMA)
    *_, last = client.chat.completions.create_partial(
        model="default", messages=ASK, response_model=Place, max_retries=0, temperature=0
    )
    expect(last.city and last.warm is not None, repr(last))


for mode in CLAUDE:
    by_anthropic(mode)

if __name__ == "__main__":
    feature.main()
