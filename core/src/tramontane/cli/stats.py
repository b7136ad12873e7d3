"""What is shown of a result besides its text: a line of figures, or everything as JSON."""

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


def figures(
    result: RequestResult, *, context: int = 0, dropped: int = 0, ready: float | None = None
) -> str:
    """A line of rates, and why the answer ended where it did not end by itself.

    context: its length in tokens, shown with how much of it is used. dropped: messages that were
    left out. ready: seconds from the start of the program until the model was loaded.
    """
    usage, timings = result.usage, result.timings
    fresh = usage.prompt_tokens - usage.cached_tokens
    later = usage.completion_tokens - 1
    parts = [] if ready is None else [f"ready in {ready:.1f} s"]
    media = {
        "images": usage.image_tokens,
        "sounds": usage.audio_tokens,
        "videos": usage.video_tokens,
    }
    counts = ", ".join(f"{count} of {name}" for name, count in media.items() if count)
    shown = f" ({counts})" if counts else ""
    parts.append(f"prompt {fresh} tokens{shown}, {fresh / max(timings.prompt, 1e-9):.0f} t/s")
    if later > 0:
        rate = later / max(timings.decode, 1e-9)
        drafts = f" ({usage.accepted_tokens} of {usage.drafted_tokens} drafted)"
        shown = drafts if usage.drafted_tokens else ""
        parts.append(f"answer {usage.completion_tokens} tokens{shown}, {rate:.1f} t/s")
    parts.append(f"first token after {timings.first_token:.2f} s")
    if context:
        parts.append(f"context {usage.prompt_tokens + usage.completion_tokens} of {context}")
    if dropped:
        parts.append(f"the oldest {dropped} messages dropped to fit the context")
    if result.finish_reason == "length":
        parts.append("stopped by --max-tokens")
    elif result.finish_reason == "context":
        parts.append("the context is full; --num-ctx N makes it larger")
    elif result.finish_reason == "cancelled":
        parts.append("stopped")
    return f"[{'; '.join(parts)}]"


def since_start() -> float:
    """Seconds since this program started."""
    import time

    import psutil

    return max(0.0, time.time() - float(psutil.Process().create_time()))
