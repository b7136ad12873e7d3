"""Transcription with Voxtral: a prompt of the sound alone, and a token that asks for its text."""

import re
from collections.abc import Generator, Sequence
from typing import Any

from tramontane.engine.request import Request, Token
from tramontane.errors import RequestError
from tramontane.media.sound import samples_of
from tramontane.model.loaded_model import LoadedModel
from tramontane.sampling_params import SamplingParams
from tramontane.tasks.answered import answered
from tramontane.tasks.queue import Work
from tramontane.tasks.transcribe import TranscribeOptions, Transcript

ASKS = "[TRANSCRIBE]"
CODE = re.compile(r"[a-z]{2,3}")


class VoxtralTranscriber:
    """Implements `tramontane.tasks.transcribe.Transcribes`."""

    languages: Sequence[str] = ()
    translates = False

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    def transcribe(self, sound: Any, options: TranscribeOptions) -> Work:
        model = self._model
        if model.tokenizer.missing:
            raise RequestError(model.tokenizer.missing)
        if model.tokenizer.inner.token_to_id(ASKS) is None:
            raise RequestError(f"the tokenizer has no token {ASKS}, which transcription needs")
        self._refuse(options)
        processor = model.processors["audio"]
        samples = samples_of(sound, "the sound", processor.rate)
        item = processor.prepare(samples)
        language = "" if options.language is None else f"lang:{options.language.lower()}"
        begin = model.tokenizer.named.get("bos_token") or "<s>"
        text = f"{begin}[INST][BEGIN_AUDIO]{processor.mark}[/INST]{language}{ASKS}"
        prompt, media = model.encode_rendered(text, [item])
        params = SamplingParams(
            temperature=float(options.temperature), seed=options.seed,
            max_tokens=options.max_tokens,
        )  # fmt: skip
        request = Request(prompt=prompt, media=media, params=params)
        return self._work(request, len(samples) / processor.rate, options.language)

    def _refuse(self, options: TranscribeOptions) -> None:
        if options.into != "same":
            raise RequestError("Voxtral's transcripts are in the language of the sound: ask for a "
                               "translation in a conversation")  # fmt: skip
        if options.timestamps == "word":
            raise RequestError("timestamps='word': Voxtral's transcripts have no times")
        if options.prompt is not None:
            raise RequestError("prompt: Voxtral's transcripts begin with nothing but the sound")
        if options.language is not None and not CODE.fullmatch(options.language.lower()):
            raise RequestError(
                f"language should be a code, such as 'de', not {options.language!r:.40}"
            )

    def _work(self, request: Request, seconds: float, language: str | None) -> Work:
        parts = answered(self._model.engine, request)
        result = yield from _texts(parts)
        return Transcript(result.text.strip(), language, seconds)


def _texts(parts: Generator[Token | None, None, Any]) -> Generator[str | None, None, Any]:
    """The texts of tokens; None where there is none yet. What was held back comes last."""
    shown = ""
    try:
        while True:
            token = next(parts)
            text = "" if token is None else token.text
            shown += text
            yield text or None
    except StopIteration as end:
        rest = end.value.text[len(shown) :]
        if rest:
            yield rest
        return end.value
    finally:
        parts.close()
