"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished, RequestResult, TokenLogprob
from tramontane.results import best

from tramontane_plugin_server.adapters import with_adapter
from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route

from . import answer
from .completion_request import CompletionRequest
from .shapes import ERRORS, Completion

if TYPE_CHECKING:
    from tramontane.engine.request import Request as EngineRequest
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams

router = APIRouter(route_class=Route)


@router.post(
    "/v1/completions",
    summary="Continue texts",
    response_class=JSONResponse,
    responses={**ERRORS, 200: {"model": Completion, "content": {"text/event-stream": {}}}},
)
async def completions(request: Request, body: CompletionRequest) -> Response:
    """The continuations; with `stream`, server-sent events while they are generated."""
    serving = serving_of(request)
    body = with_adapter(serving, body)
    if body.stream:
        return serving.stream(_events(serving, body), answer.failed)
    work = _complete(serving, body)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


async def _complete(serving: Serving, body: CompletionRequest) -> dict[str, Any]:
    async with serving.catalog.lease(body.model) as (served, model):
        prompts = await _prompts(serving, model, body)
        params = _params(serving, body)
        requests = _requests(model, prompts, params, body)
        with serving.generate(model, served.name, requests) as generation:
            results = await generation.finish()
        each = len(results) // len(prompts)
        groups = [results[i : i + each] for i in range(0, len(results), each)]
        choices: list[dict[str, Any]] = []
        for prompt, group in zip(prompts, groups, strict=True):
            for result in best(group, params.n):
                choice = _choice(model, body, prompt, result, group[0].prompt_logprobs or ())
                choices.append({"index": len(choices), **choice})
    return {
        "id": answer.identity("cmpl"),
        "object": "text_completion",
        "created": answer.now(),
        "model": served.answers_as(body.model),
        "choices": choices,
        "usage": answer.usage_of_all(groups),
    }


def _choice(
    model: LoadedModel,
    body: CompletionRequest,
    prompt: tuple[int, ...],
    result: RequestResult,
    scores: Sequence[TokenLogprob],
) -> dict[str, Any]:
    before = _echoed(model, prompt) if body.echo else ""
    logprobs = None
    if body.logprobs is not None:
        entries: list[TokenLogprob | None] = []
        if body.echo:
            entries += [None, *scores]
        entries += result.logprobs or ()
        first = _echoed(model, prompt[:1])
        logprobs = _logprobs(entries, body.logprobs, first)
    choice: dict[str, Any] = {
        "text": before + result.text,
        "logprobs": logprobs,
        "finish_reason": answer.REASONS[result.finish_reason],
    }
    return {**choice, **_prompt_logprobs(body, scores)}


def _prompt_logprobs(body: CompletionRequest, scores: Sequence[TokenLogprob]) -> dict[str, Any]:
    if body.prompt_logprobs is None:
        return {}
    return {"prompt_logprobs": [None, *(_by_token_id(one, body.prompt_logprobs) for one in scores)]}


async def _events(serving: Serving, body: CompletionRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(body.model) as (served, model):
        prompts = await _prompts(serving, model, body)
        params = _params(serving, body)
        prompt_scores = await _score_prompts(serving, model, served.name, prompts, params, body)
        requests = _requests(model, prompts, params, body, score=False)
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        head = {
            "id": answer.identity("cmpl"),
            "object": "text_completion",
            "created": answer.now(),
            "model": served.answers_as(body.model),
        }
        results: dict[int, RequestResult] = {}
        offsets: dict[int, int] = {}
        with serving.generate(model, served.name, requests) as generation:
            each = len(generation.requests) // len(prompts)
            for index in range(len(generation.requests)):
                if body.echo or prompt_scores:
                    prompt = prompts[index // each]
                    scores = prompt_scores[index // each] if prompt_scores else ()
                    text = _echoed(model, prompt) if body.echo else ""
                    logprobs = None
                    if body.echo and body.logprobs is not None:
                        first = _echoed(model, prompt[:1])
                        logprobs = _logprobs([None, *scores], body.logprobs, first)
                        text = "".join(logprobs["tokens"])
                    offsets[index] = len(text)
                    choice = {
                        **_chunk(index, text, None, logprobs),
                        **_prompt_logprobs(body, scores),
                    }
                    yield event({**head, "choices": [choice]})
            async for events in generation:
                chunks = []
                for one in events:
                    index = generation.index[one.id]
                    reason = logprobs = None
                    if isinstance(one, Finished):
                        results[index] = one.result
                        reason = answer.REASONS[one.result.finish_reason]
                    elif one.logprob is not None and body.logprobs is not None:
                        start = offsets.get(index, 0)
                        offsets[index] = start + len(one.logprob.text)
                        logprobs = _logprobs([one.logprob], body.logprobs, "", start)
                    if one.text or reason or logprobs:
                        choice = _chunk(index, one.text, reason, logprobs)
                        more = {"usage": None} if include_usage else {}
                        chunks.append(event({**head, "choices": [choice], **more}))
                if chunks:
                    yield b"".join(chunks)
        if include_usage:
            ordered = [results[index] for index in range(len(results))]
            groups = [ordered[i : i + each] for i in range(0, len(ordered), each)]
            yield event({**head, "choices": [], "usage": answer.usage_of_all(groups)})
        yield answer.DONE


async def _prompts(
    serving: Serving, model: LoadedModel, body: CompletionRequest
) -> list[tuple[int, ...]]:
    if body.add_special_tokens is False:
        texts = [p for p in body.prompts() if isinstance(p, str)]
        encoded = {p: model.tokenizer.encode(p, add_special=False) for p in texts}
        return [tuple(encoded[p] if isinstance(p, str) else p) for p in body.prompts()]
    return [await serving.encode(model, prompt) for prompt in body.prompts()]


def _params(serving: Serving, body: CompletionRequest) -> SamplingParams:
    is_set = "max_tokens" in body.model_fields_set
    return serving.limited(body.sampling(), by_default=not is_set)


async def _score_prompts(
    serving: Serving,
    model: LoadedModel,
    name: str,
    prompts: Sequence[tuple[int, ...]],
    params: SamplingParams,
    body: CompletionRequest,
) -> list[Sequence[TokenLogprob]]:
    """Log-probabilities of the prompts' tokens, computed before the answers, which find the prompts
    in the cache; [] if not requested."""
    if not body.scores_prompt:
        return []
    prompt_params = params.model_copy(
        update={"max_tokens": 0, "n": 1, "best_of": None, "grammar": None}
    )
    requests = _requests(model, prompts, prompt_params, body)
    with serving.generate(model, name, requests) as generation:
        return [result.prompt_logprobs or () for result in await generation.finish()]


def _requests(
    model: LoadedModel,
    prompts: Sequence[tuple[int, ...]],
    params: SamplingParams,
    body: CompletionRequest,
    *,
    score: bool = True,
) -> list[EngineRequest]:
    prompt_scores = score and body.scores_prompt
    fields = {"continues": True, "score_prompt": prompt_scores, **body.request_fields()}
    return [one for prompt in prompts for one in model.requests(prompt, params, **fields)]


def _chunk(
    index: int, text: str, reason: str | None = None, logprobs: Any = None
) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _echoed(model: LoadedModel, tokens: tuple[int, ...]) -> str:
    return model.tokenizer.decode(tokens, skip_special=True)


def _logprobs(
    entries: Sequence[TokenLogprob | None], top_count: int, first: str, offset: int = 0
) -> dict[str, Any]:
    """Log-probabilities in the completions API's form. None: the prompt's first token, `first`."""
    texts = [first if entry is None else entry.text for entry in entries]
    offsets = []
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    top = [
        entry and {text: max(value, -9999.0) for _, text, value in entry.top[:top_count]}
        for entry in entries
    ]
    return {
        "tokens": texts,
        "token_logprobs": [entry and max(entry.logprob, -9999.0) for entry in entries],
        "top_logprobs": top if top_count else None,
        "text_offset": offsets,
    }


def _by_token_id(entry: TokenLogprob, top_count: int) -> dict[str, Any]:
    """A prompt token and its likeliest alternatives, by token id, as vLLM has them."""
    candidates = [(entry.token, entry.text, entry.logprob), *entry.top[:top_count]]
    return {
        str(token): {"logprob": max(value, -9999.0), "decoded_token": text}
        for token, text, value in candidates
    }
