"""Pydantic's findings in our own words, at the place that the writer of a value knows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError
from tramontane.problems import first_problem, nearest


class Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    text: str


class Named(Part):
    kind: Literal["named"]


class Bare(BaseModel):
    kind: Literal["bare"]


class Pair(BaseModel):
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def _ordered(self) -> Pair:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Refusing(BaseModel):
    kind: Literal["refusing"]

    @model_validator(mode="before")
    @classmethod
    def _no_text(cls, data: Any) -> Any:
        if "text" in data:
            raise PydanticCustomError("refused", "there is no text", {"param": "text"})
        return data


class Other(BaseModel):
    kind: Literal["other"]
    more: int


TREE = str | list[int] | list[str] | list[list[int]]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (int, "a", 'x: must be an integer (it is "a")'),
        (int, 1.5, "x: must be an integer (it is 1.5)"),
        (float, [], "x: must be a number (it is [])"),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "x: must be a finite number"),
        (bool, "maybe", 'x: must be true or false (it is "maybe")'),
        (str, 1, "x: must be a string (it is 1)"),
        (list[int], {}, "x: must be a list (it is {})"),
        (dict[str, int], 3, "x: must be an object (it is 3)"),
        (Part, 3, "x: must be an object (it is 3)"),
        (None, 3, "x: must be null (it is 3)"),
        (Annotated[int, Field(ge=1)], 0, "x: must be at least 1 (it is 0)"),
        (Annotated[float, Field(ge=1)], 0, "x: must be at least 1 (it is 0)"),
        (Annotated[int, Field(gt=1)], 1, "x: must be more than 1 (it is 1)"),
        (Annotated[int, Field(le=1)], 2, "x: must be at most 1 (it is 2)"),
        (Annotated[int, Field(lt=1)], 1, "x: must be less than 1 (it is 1)"),
        (Annotated[list[int], Field(min_length=1)], [], "x: must have at least 1 item (it is [])"),
        (Annotated[list[int], Field(max_length=0)], [1], "x: must have at most 0 items"),
        (Annotated[str, Field(min_length=2)], "a", "x: must have at least 2 characters"),
        (Annotated[str, Field(max_length=1)], "ab", "x: must have at most 1 character"),
        (Annotated[str, Field(pattern="^a$")], "b", 'x: must match ^a$ (it is "b")'),
        (Literal["a", "b"], "c", "x: must be 'a' or 'b' (it is \"c\")"),
        (Literal[False], True, "x: must be false (it is true)"),
        (Part, {}, "x.text is required"),
        (Part, {"text": "", "more": 1}, "x.more is not known here"),
        (Pair, {"low": 10}, "x: low is above high"),
        (str | int, [], "x: must be a string or an integer (it is [])"),
        (str | list[Part], [{"text": 1}], "x.0.text: must be a string (it is 1)"),
        (str | list[Part], [{}], "x.0.text is required"),
        (str | Literal["a"] | Part, {"text": 1}, "x.text: must be a string (it is 1)"),
        (Part | InstanceOf[Pair], 3, "x: must be an object (it is 3)"),
        (Part | InstanceOf[Pair], {}, "x.text is required"),
        (Other | Refusing, {"kind": "refusing", "text": ""}, "x: there is no text"),
        (TREE, [[1], "a", [2]], 'x.1: must be a list (it is "a")'),
        (TREE, [1, "a", 3], 'x.1: must be an integer (it is "a")'),
        (Annotated[Named | Bare, Field(discriminator="kind")], {"kind": "c"},
         "x.kind: must be 'named' or 'bare' (it is \"c\")"),
        (Annotated[Named | Bare, Field(discriminator="kind")], {}, "x.kind is required"),
        (Annotated[Named | Bare, Field(discriminator="kind")], {"kind": "named", "text": 1},
         "x.text: must be a string (it is 1)"),
    ],
)  # fmt: skip
def test_words(kind: Any, value: Any, said: str) -> None:
    model = create_model("Model", x=(kind, ...))
    whole = {"x": value}
    with pytest.raises(ValidationError) as caught:
        model(**whole)
    problem = first_problem(caught.value, whole)
    found = problem.about(".".join(map(str, problem.path)))
    assert found.startswith(said)
    assert "\n" not in found


def test_a_validators_own_error_keeps_what_it_has_beside_its_message() -> None:
    with pytest.raises(ValidationError) as caught:
        Refusing.model_validate({"text": ""})
    problem = first_problem(caught.value, {"text": ""})
    assert (problem.path, problem.kind, problem.words) == ((), "refused", "there is no text")
    assert problem.context == {"param": "text"}


def test_no_words_of_pydantic_are_left() -> None:
    class Everything(BaseModel):
        model_config = ConfigDict(strict=True)
        values: dict[str, list[Literal[1] | float] | Part | None]

    for value in (1, {"a": 1}, {"a": ["x"]}, {"a": {"text": 1}}, {"a": {}}, {1: None}):
        with pytest.raises(ValidationError) as caught:
            Everything(values=value)  # type: ignore[arg-type]
        problem = first_problem(caught.value, {"values": value})
        assert "nput should" not in problem.words
        assert "valid" not in problem.words


def test_the_nearest_name() -> None:
    assert nearest("prot", ["port", "host"]) == "did you mean 'port'?"
    assert nearest("model", ["models"], shown="[[models]]") == "did you mean [[models]]?"
    assert nearest("zzz", ["port"]) == ""
