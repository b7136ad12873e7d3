"""What `generate` of both Python faces is given: one prompt or a batch, and its requests."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, cast

from tramontane.engine.request import Request, RequestResult
from tramontane.errors import RequestError
from tramontane.grammar import schema_grammar
from tramontane.results import Completion, best
from tramontane.sampling_keywords import Sampling, with_keywords
from tramontane.sampling_params import SamplingParams

from .loaded_model import LoadedModel, Prompt

Schema: TypeAlias = Mapping[str, Any] | type[Any]
"""A JSON schema, a pydantic model, or any type for which pydantic can create a schema."""

Prompts: TypeAlias = list[str] | list[list[int]]
"""A batch: texts, or lists of token ids."""
Params: TypeAlias = SamplingParams | Sequence[SamplingParams] | None
"""For all prompts, or one for each."""


@dataclass(frozen=True)
class PromptBatch:
    """The requests of each prompt. counts: how many answers each is to have. single: whether one
    prompt was given, not a list of them."""

    sets: Sequence[Sequence[Request]]
    counts: Sequence[int]
    schema: Schema | None
    single: bool

    @classmethod
    def of(
        cls,
        model: LoadedModel,
        prompt: Prompt | Prompts,
        params: Params,
        sampling: Sampling,
        schema: Schema | None,
        *,
        stream: bool,
    ) -> Self:
        """sampling: fields of SamplingParams that were given as keywords.

        Raises RequestError for prompts and parameters that cannot be.
        """
        params, prompts = _with_keywords(params, sampling), _prompts_of(prompt)
        if prompts is None:
            each = [with_schema(_params_of_one(params), schema)]
        else:
            each = _params_of(params, len(prompts), schema)
        sets = model.batch(prompts or [cast("Prompt", prompt)], each)
        for one in each if stream else ():
            refuse_best_of(one)
        return cls(sets, [one.n if one else 1 for one in each], schema, prompts is None)

    @property
    def requests(self) -> list[Request]:
        """Those of all prompts, in their order."""
        return [request for several in self.sets for request in several]

    def completions(self, results: Sequence[RequestResult]) -> list[Completion]:
        """A completion for each prompt. results: of `requests`, in their order."""
        rest = iter(results)
        return [
            Completion(best([next(rest) for _ in several], count), self.schema)
            for several, count in zip(self.sets, self.counts, strict=True)
        ]


def _prompts_of(prompt: Prompt | Prompts) -> list[Prompt] | None:
    """The prompts of a batch; None for one prompt. Raises RequestError for what is neither."""
    if isinstance(prompt, str):
        return None
    try:
        items: list[Any] = list(prompt)
    except TypeError:
        items = [prompt]
        is_prompt = [False]
    else:
        is_prompt = [_is_prompt(each) for each in items]
    if items and all(is_prompt):
        return items
    if any(is_prompt):
        place = is_prompt.index(False)
        raise RequestError(
            f"prompt {place} of the batch is {reprlib.repr(items[place])}: "
            "a prompt is a string or a list of token ids"
        )
    return None


def _is_prompt(value: Any) -> bool:
    # arrays and tensors of one number have a length by name only
    is_list = hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0
    return isinstance(value, str) or (is_list and not isinstance(value, bytes))


def _with_keywords(params: Params, given: Sampling) -> Params:
    """Parameters, or each of a list of them, together with those that are keywords.

    Raises RequestError as `with_keywords` does.
    """
    if params is None or not isinstance(params, Sequence):
        return with_keywords(params, given)
    return [cast("SamplingParams", with_keywords(one, given)) for one in params]


def _params_of(
    params: Params, count: int, schema: Schema | None
) -> list[SamplingParams | None]:  # fmt: skip
    """Parameters for each prompt of a batch. Raises RequestError where there are not as many."""
    if params is None or isinstance(params, SamplingParams):
        return [with_schema(params, schema)] * count
    if len(params) != count:
        raise RequestError(
            f"{len(params)} SamplingParams for {count} prompts: pass one, or one for each prompt"
        )
    return [with_schema(each, schema) for each in params]


def _params_of_one(params: Params) -> SamplingParams | None:
    """The parameters of a single prompt. Raises RequestError for a list of them."""
    if params is None or isinstance(params, SamplingParams):
        return params
    raise RequestError(
        f"{len(params)} SamplingParams for one prompt: pass one, or a list of prompts"
    )


def with_schema(params: SamplingParams | None, schema: Schema | None) -> SamplingParams | None:
    """The parameters with the schema's grammar. Raises RequestError if they have a grammar."""
    if schema is None:
        return params
    if params is not None and params.grammar is not None:
        raise RequestError("schema= and a grammar in the parameters exclude each other; keep one")
    given = {} if params is None else dict(params)
    return SamplingParams(**{**given, "grammar": schema_grammar(schema)})


def refuse_best_of(params: SamplingParams | None) -> None:
    """Raise RequestError for `best_of`, which cannot be streamed."""
    if params is not None and params.best_of not in (None, params.n):
        raise RequestError(f"best_of={params.best_of} cannot be streamed: leave out one of the two")
