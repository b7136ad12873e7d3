"""DSPy."""

from __future__ import annotations

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy
from pydantic import BaseModel

from .feature import CITY, STORY, Features, expect

feature = Features("dspy")


class Place(BaseModel):
    city: str
    warm: bool


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "hail, 7 degrees"


def model(url: str, **more: Any) -> dspy.LM:
    # what it takes a model to be able to do comes from its name
    return dspy.LM(
        "openai/gpt-4o", api_base=f"{url}/v1", api_key="none", cache=False, num_retries=0,
        temperature=0, max_tokens=100, **more,
    )  # fmt: skip


@feature("LM")
def lm(url: str) -> None:
    expect(model(url)(STORY), "text")


@feature("LM, model_type responses")
def lm_responses(url: str) -> None:
    expect(model(url, model_type="responses")(STORY), "text")


@feature("Predict, ChatAdapter")
def predict(url: str) -> None:
    with dspy.context(lm=model(url), adapter=dspy.ChatAdapter()):
        expect(dspy.Predict("question -> answer")(question=CITY).answer, "answer")


@feature("Predict, JSONAdapter")
def predict_json(url: str) -> None:
    with dspy.context(lm=model(url), adapter=dspy.JSONAdapter()):
        expect(dspy.Predict("question -> answer")(question=CITY).answer, "answer")


@feature("Predict of a pydantic model, JSONAdapter")
def predict_model(url: str) -> None:
    signature = dspy.Signature("question -> place: Place", custom_types={"Place": Place})
    with dspy.context(lm=model(url), adapter=dspy.JSONAdapter()):
        expect(isinstance(dspy.Predict(signature)(question=CITY).place, Place), "a Place")


@feature("ReAct, JSONAdapter")
def react(url: str) -> None:
    with dspy.context(lm=model(url), adapter=dspy.JSONAdapter()):
        made = dspy.ReAct("question -> answer", tools=[get_weather], max_iters=2)
        expect(made(question=CITY).answer, "answer")


if __name__ == "__main__":
    feature.main()
