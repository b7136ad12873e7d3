"""Transcripts in the formats that programs read: subtitles, JSON, and plain text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tramontane.errors import RequestError

from .transcribe import Segment, Transcript

FORMATS = ("text", "srt", "vtt", "json", "verbose_json")
ENDINGS = {"txt": "text", "srt": "srt", "vtt": "vtt", "json": "verbose_json"}
"""Of files, with the formats that they mean."""
TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
"""Media types of those formats that are no JSON."""


def written(transcript: Transcript, kind: str, task: str = "transcribe") -> str:
    """A transcript in one of `FORMATS`. task: what JSON says that was done. Raises RequestError for
    subtitles of a transcript without times."""
    if kind == "text":
        return f"{transcript.text}\n"
    if kind in ("srt", "vtt"):
        if transcript.text and not transcript.segments:
            raise RequestError(f"{kind} needs times, and this model gives none: take text or json")
        return _subtitles(transcript.segments, kind)
    made = verbose(transcript, task) if kind == "verbose_json" else brief(transcript)
    return json.dumps(made, ensure_ascii=False)


def brief(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's short form."""
    seconds = round(transcript.duration)
    return {"text": transcript.text, "usage": {"type": "duration", "seconds": seconds}}


def verbose(transcript: Transcript, task: str = "transcribe") -> dict[str, Any]:
    """OpenAI's long form: every segment with its times and with how good it seems."""
    segments = [
        {
            "id": place,
            "seek": round(100 * each.window),
            "start": each.start,
            "end": each.end,
            "text": each.text,
            "tokens": list(each.tokens),
            "temperature": each.temperature,
            "avg_logprob": each.avg_logprob,
            "compression_ratio": each.compression_ratio,
            "no_speech_prob": each.no_speech_prob,
        }
        for place, each in enumerate(transcript.segments)
    ]
    found = {"task": task, "language": transcript.language, "duration": transcript.duration}
    return {**found, **brief(transcript), "segments": segments}


def _subtitles(segments: Sequence[Segment], kind: str) -> str:
    mark = "," if kind == "srt" else "."
    blocks = []
    for number, each in enumerate(segments, 1):
        times = f"{_clock(each.start, mark)} --> {_clock(each.end, mark)}"
        # an arrow in a line says that it has times, and an empty line ends a block
        text = " ".join(each.text.split()).replace("-->", "->")
        blocks.append(f"{number}\n{times}\n{text}\n" if kind == "srt" else f"{times}\n{text}\n")
    head = ["WEBVTT\n"] if kind == "vtt" else []
    return "\n".join([*head, *blocks])


def _clock(seconds: float, mark: str) -> str:
    """01:02:03.456"""
    whole = round(max(0.0, seconds) * 1000)
    minutes, rest = divmod(whole, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"
