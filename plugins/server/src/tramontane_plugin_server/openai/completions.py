"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished, RequestResult, TokenLogprob
from tramontane.results import best

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route

from . import answer
from .completion_request import CompletionRequest
from .shapes import ERRORS, Completion

if TYPE_CHECKING:
    from tramontane.engine.request import Request as Asking
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams

router = APIRouter(route_class=Route)


@router.post(
    "/v1/completions",
    summary="Continue texts",
    response_class=JSONResponse,
    responses={**ERRORS, 200: {"model": Completion, "content": {"text/event-stream": {}}}},
)
async def completions(request: Request, asked: CompletionRequest) -> Response:
    """The continuations, or with `stream` their pieces as server-sent events."""
    serving = serving_of(request)
    if asked.stream:
        return serving.stream(_events(serving, asked), answer.failed)
    work = _whole(serving, asked)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


async def _whole(serving: Serving, asked: CompletionRequest) -> dict[str, Any]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompts = await _prompts(serving, model, asked)
        params = _params(serving, asked)
        requests = _requests(model, prompts, params, asked)
        with serving.generate(model, served.name, requests) as generation:
            results = await generation.finish()
        each = len(results) // len(prompts)
        groups = [results[i : i + each] for i in range(0, len(results), each)]
        choices: list[dict[str, Any]] = []
        for prompt, group in zip(prompts, groups, strict=True):
            for result in best(group, params.n):
                choice = _choice(model, asked, prompt, result, group[0].prompt_logprobs or ())
                choices.append({"index": len(choices), **choice})
    return {
        "id": answer.identity("cmpl"),
        "object": "text_completion",
        "created": answer.now(),
        "model": served.name,
        "choices": choices,
        "usage": answer.usage_of_all(groups),
    }


def _choice(
    model: LoadedModel,
    asked: CompletionRequest,
    prompt: tuple[int, ...],
    result: RequestResult,
    scores: Sequence[TokenLogprob],
) -> dict[str, Any]:
    before = _echoed(model, prompt) if asked.echo else ""
    logprobs = None
    if asked.logprobs is not None:
        entries: list[TokenLogprob | None] = []
        if asked.echo:
            entries += [None, *scores]
        entries += result.logprobs or ()
        first = _echoed(model, prompt[:1])
        logprobs = _logprobs(entries, asked.logprobs, first)
    choice: dict[str, Any] = {
        "text": before + result.text,
        "logprobs": logprobs,
        "finish_reason": answer.REASONS[result.finish_reason],
    }
    return {**choice, **_by_ids(asked, scores)}


def _by_ids(asked: CompletionRequest, scores: Sequence[TokenLogprob]) -> dict[str, Any]:
    if asked.prompt_logprobs is None:
        return {}
    return {"prompt_logprobs": [None, *(_by_id(one, asked.prompt_logprobs) for one in scores)]}


async def _events(serving: Serving, asked: CompletionRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompts = await _prompts(serving, model, asked)
        params = _params(serving, asked)
        scored = await _scores(serving, model, served.name, prompts, params, asked)
        requests = _requests(model, prompts, params, asked, score=False)
        told = asked.stream_options is not None and asked.stream_options.include_usage
        head = {
            "id": answer.identity("cmpl"),
            "object": "text_completion",
            "created": answer.now(),
            "model": served.name,
        }
        results: dict[int, RequestResult] = {}
        offsets: dict[int, int] = {}
        with serving.generate(model, served.name, requests) as generation:
            each = len(generation.requests) // len(prompts)
            for index in range(len(generation.requests)):
                if asked.echo or scored:
                    prompt = prompts[index // each]
                    scores = scored[index // each] if scored else ()
                    text = _echoed(model, prompt) if asked.echo else ""
                    logprobs = None
                    if asked.echo and asked.logprobs is not None:
                        first = _echoed(model, prompt[:1])
                        logprobs = _logprobs([None, *scores], asked.logprobs, first)
                        text = "".join(logprobs["tokens"])
                    offsets[index] = len(text)
                    choice = {**_piece(index, text, None, logprobs), **_by_ids(asked, scores)}
                    yield event({**head, "choices": [choice]})
            async for events in generation:
                pieces = []
                for one in events:
                    index = generation.index[one.id]
                    reason = logprobs = None
                    if isinstance(one, Finished):
                        results[index] = one.result
                        reason = answer.REASONS[one.result.finish_reason]
                    elif one.logprob is not None and asked.logprobs is not None:
                        start = offsets.get(index, 0)
                        offsets[index] = start + len(one.logprob.text)
                        logprobs = _logprobs([one.logprob], asked.logprobs, "", start)
                    if one.text or reason or logprobs:
                        choice = _piece(index, one.text, reason, logprobs)
                        more = {"usage": None} if told else {}
                        pieces.append(event({**head, "choices": [choice], **more}))
                if pieces:
                    yield b"".join(pieces)
        if told:
            ordered = [results[index] for index in range(len(results))]
            groups = [ordered[i : i + each] for i in range(0, len(ordered), each)]
            yield event({**head, "choices": [], "usage": answer.usage_of_all(groups)})
        yield answer.DONE


async def _prompts(
    serving: Serving, model: LoadedModel, asked: CompletionRequest
) -> list[tuple[int, ...]]:
    if asked.add_special_tokens is False:
        plain = [p for p in asked.prompts() if isinstance(p, str)]
        encoded = {p: model.tokenizer.encode(p, add_special=False) for p in plain}
        return [tuple(encoded[p] if isinstance(p, str) else p) for p in asked.prompts()]
    return [await serving.encode(model, prompt) for prompt in asked.prompts()]


def _params(serving: Serving, asked: CompletionRequest) -> SamplingParams:
    given = "max_tokens" in asked.model_fields_set
    return serving.limited(asked.sampling(), by_default=not given)


async def _scores(
    serving: Serving,
    model: LoadedModel,
    name: str,
    prompts: Sequence[tuple[int, ...]],
    params: SamplingParams,
    asked: CompletionRequest,
) -> list[Sequence[TokenLogprob]]:
    """Probabilities of the prompts' tokens, before the first piece of their answers; [] if nobody
    wants them. The answers find the prompts in the cache."""
    if not asked.scores_prompt:
        return []
    alone = params.model_copy(update={"max_tokens": 0, "n": 1, "best_of": None, "grammar": None})
    requests = _requests(model, prompts, alone, asked)
    with serving.generate(model, name, requests) as generation:
        return [result.prompt_logprobs or () for result in await generation.finish()]


def _requests(
    model: LoadedModel,
    prompts: Sequence[tuple[int, ...]],
    params: SamplingParams,
    asked: CompletionRequest,
    *,
    score: bool = True,
) -> list[Asking]:
    scored = score and asked.scores_prompt
    fields = {"continues": True, "score_prompt": scored, **asked.place()}
    return [one for prompt in prompts for one in model.requests(prompt, params, **fields)]


def _piece(
    index: int, text: str, reason: str | None = None, logprobs: Any = None
) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _echoed(model: LoadedModel, tokens: tuple[int, ...]) -> str:
    return model.tokenizer.decode(tokens, skip_special=True)


def _logprobs(
    entries: Sequence[TokenLogprob | None], tops: int, first: str, offset: int = 0
) -> dict[str, Any]:
    """OpenAI's older form. An entry of None is the prompt's first token, `first`."""
    texts = [first if entry is None else entry.text for entry in entries]
    offsets = []
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    most = [
        entry and {text: max(value, -9999.0) for _, text, value in entry.top[:tops]}
        for entry in entries
    ]
    return {
        "tokens": texts,
        "token_logprobs": [entry and max(entry.logprob, -9999.0) for entry in entries],
        "top_logprobs": most if tops else None,
        "text_offset": offsets,
    }


def _by_id(entry: TokenLogprob, tops: int) -> dict[str, Any]:
    """A prompt token and its likeliest alternatives, by token id, as vLLM has them."""
    every = [(entry.token, entry.text, entry.logprob), *entry.top[:tops]]
    return {
        str(token): {"logprob": max(value, -9999.0), "decoded_token": text}
        for token, text, value in every
    }
