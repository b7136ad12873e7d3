"""What is told of a result beside its text: a line of figures, or everything as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tramontane.engine.request import RequestResult, TokenLogprob


def as_json(result: RequestResult, model: str) -> dict[str, Any]:
    """A result as `--json` prints it."""
    return {
        "model": model,
        "text": result.text,
        "finish_reason": result.finish_reason,
        "stop": result.stop,
        "token_ids": list(result.token_ids),
        "usage": asdict(result.usage),
        "timings": asdict(result.timings),
        "seed": result.seed,
        "logprobs": result.logprobs and [_logprob(entry) for entry in result.logprobs],
    }


def _logprob(entry: TokenLogprob) -> dict[str, Any]:
    """JSON has no bytes, so they are numbers, as in OpenAI's API."""
    more = {"bytes": list(entry.bytes), "top_bytes": [list(data) for data in entry.top_bytes]}
    return {**asdict(entry), **more}


def figures(result: RequestResult) -> str:
    """A line of rates, and why the answer ended if that is worth telling."""
    usage, timings = result.usage, result.timings
    fresh = usage.prompt_tokens - usage.cached_tokens
    later = usage.completion_tokens - 1
    parts = [f"prompt {fresh} tokens, {fresh / max(timings.prompt, 1e-9):.0f} t/s"]
    if later > 0:
        rate = later / max(timings.decode, 1e-9)
        parts.append(f"answer {usage.completion_tokens} tokens, {rate:.1f} t/s")
    parts.append(f"first after {timings.first_token:.2f} s")
    if result.finish_reason == "length":
        parts.append("cut off by --max-tokens")
    elif result.finish_reason == "context":
        parts.append("the context is full: --num-ctx N, or /clear, makes room")
    elif result.finish_reason == "cancelled":
        parts.append("stopped")
    return f"[{'; '.join(parts)}]"
