"""Parts that OpenAI's answers share: ids, usage, finish reasons, log-probabilities, errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from tramontane.engine.request import FinishReason, RequestResult, TokenLogprob, Usage

from tramontane_plugin_server.http.errors import api_error, error_body
from tramontane_plugin_server.http.stream import event

DONE = event("[DONE]")
REASONS: dict[FinishReason, str] = {"stop": "stop", "length": "length", "context": "length"}
MEDIA = ("image_tokens", "audio_tokens", "video_tokens")
"""Counts of a prompt's tokens that stand for media; of a prompt without any there are none."""


def identity(prefix: str) -> str:
    """A new id, such as chatcmpl-..."""
    return f"{prefix}-{uuid.uuid4().hex}"


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def usage(results: Sequence[RequestResult]) -> dict[str, Any]:
    """The usage of one prompt and all its answers; the prompt counts once."""
    prompt = results[0].usage.prompt_tokens
    answers = sum(result.usage.completion_tokens for result in results)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answers,
        "total_tokens": prompt + answers,
        "prompt_tokens_details": _details([results[0].usage]),
        **_drafts([result.usage for result in results]),
    }


def usage_of_all(rounds: Sequence[Sequence[RequestResult]]) -> dict[str, Any]:
    """The total usage of several prompts, or of the rounds of a conversation."""
    parts = [usage(results) for results in rounds]
    found = {name: sum(part[name] for part in parts)
             for name in ("prompt_tokens", "completion_tokens", "total_tokens")}  # fmt: skip
    details = _details([one[0].usage for one in rounds])
    drafts = _drafts([result.usage for results in rounds for result in results])
    return {**found, "prompt_tokens_details": details, **drafts}


def _details(prompts: Sequence[Usage]) -> dict[str, int]:
    """What the tokens of prompts are; kinds of media only where there are any."""
    found = {"cached_tokens": sum(usage.cached_tokens for usage in prompts)}
    for name in MEDIA:
        if count := sum(getattr(usage, name) for usage in prompts):
            found[name] = count
    return found


def _drafts(answers: Sequence[Usage]) -> dict[str, Any]:
    """What became of tokens that were guessed ahead; empty where none were."""
    drafted = sum(usage.drafted_tokens for usage in answers)
    accepted = sum(usage.accepted_tokens for usage in answers)
    if not drafted:
        return {}
    return {
        "completion_tokens_details": {
            "accepted_prediction_tokens": accepted,
            "rejected_prediction_tokens": drafted - accepted,
        }
    }


def logprob(entry: TokenLogprob) -> dict[str, Any]:
    """A token's probability in the chat API's form."""
    return {
        **_one(entry.text, entry.logprob, entry.bytes),
        "top_logprobs": [
            _one(text, value, data)
            for (_, text, value), data in zip(entry.top, entry.top_bytes, strict=True)
        ],
    }


def _one(text: str, value: float, data: bytes) -> dict[str, Any]:
    # JSON has no infinity
    return {"token": text, "logprob": max(value, -9999.0), "bytes": list(data)}


def failed(error: Exception) -> bytes:
    """An error as the last event of a stream."""
    return event(error_body(api_error(error), anthropic=False))
