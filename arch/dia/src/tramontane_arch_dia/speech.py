"""The task: a text to a sound, part by part."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from tramontane.checkpoint.load import KV_DTYPES, KV_TYPES
from tramontane.errors import RequestError
from tramontane.option_checks import Checks, a_number, check_options, whole
from tramontane.tasks.loaded_task import LoadedTask
from tramontane.tasks.queue import Progress, Work
from tramontane.tasks.speech import Sound, SpeechOptions
from tramontane.tokenizer.json_file import read_if_there

from .choose import Choosing
from .codec import WINDOW, find_codec, open_codec
from .config import DiaConfig
from .frames import FrameLoop, Speech, Spoken
from .model import Dia, text_ids
from .voices import DEFAULT, refuse_voice, sample_of, voices_of

CHECKS: Checks = {
    "guidance": a_number(0, 100),
    "temperature": a_number(0, 10),
    "top_p": a_number(0.001, 1),
    "top_k": whole(0, 1 << 16),
}
"""Options of its own."""
AT_ONCE = 4
"""Speeches that are made together, at most."""
TOLD = 8
"""Frames between two reports of progress."""


class DiaSpeech:
    """Implements `tramontane.tasks.speech.Speaks`. Speeches that take turns in the queue share
    their steps."""

    def __init__(self, loaded: LoadedTask) -> None:
        """Raises CheckpointError, ModelNotFound where the codec is missing."""
        model = cast("Dia", loaded.model)
        part = loaded.parts[""]
        self._cfg = cast("DiaConfig", part.config)
        device = torch.device(part.device.torch_device)
        path = find_codec(loaded.path, loaded.registry, loaded.hub)
        self._codec = open_codec(path, self._cfg, device, loaded.options.threads)
        asked = loaded.options.kv_type
        kv_dtype = part.dtype if asked == "auto" else KV_DTYPES[KV_TYPES[asked]]
        self._loop = FrameLoop(model, kv_dtype, device, AT_ONCE)
        self._running: list[Speech] = []
        self._taken = 0
        """Places of those that run or begin, `AT_ONCE` in all."""
        self._voices = voices_of(loaded.path if loaded.path.is_dir() else loaded.path.parent)
        self._known: dict[str, np.ndarray[Any, Any]] = {}
        self._defaults = _defaults(read_if_there(loaded.path / "generation_config.json"))

    @property
    def rate(self) -> int:
        return self._codec.rate

    @property
    def voices(self) -> Sequence[str]:
        return [DEFAULT, *self._voices]

    @property
    def most_seconds(self) -> float:
        """The longest sound, without a voice to take up."""
        return self._seconds(self._cfg.max_position_embeddings - self._cfg.most_delay - 2)

    def speak(self, text: str, options: SpeechOptions) -> Work:
        """See `Speaks`."""
        if options.speed != 1:
            raise RequestError(
                f"speed {options.speed:g}: this model speaks at its own pace, speed 1"
            )
        name = options.voice or DEFAULT
        refuse_voice(name, self._voices)
        if options.sample is not None and name != DEFAULT:
            raise RequestError(f"voice {name!r} and sample both say whose voice it is; keep one")
        how = self._choosing(options.extra)
        sample, words = options.sample, options.sample_text
        if (sample is None) != (words is None):
            raise RequestError(
                "sample, a voice to take up, and sample_text, its words, go together"
            )
        where = "sample"
        if name != DEFAULT:
            voice = self._voices[name]
            sample, words, where = voice.path, voice.text, f"voice {name}"
        whole = self._whole_text(text, words)
        samples = None
        if sample is not None and name not in self._known:
            most = self.most_seconds * 2 / 3
            samples = sample_of(sample, where, self.rate, most)
        seed = secrets.randbits(63) if options.seed is None else options.seed
        most = self._cfg.max_position_embeddings
        if options.max_seconds is not None:
            most = max(1, int(options.max_seconds * self.rate / self._codec.hop))
        return self._work(whole, how, name, samples, most, seed)

    def _work(
        self,
        text: str,
        how: Choosing,
        name: str,
        samples: np.ndarray[Any, Any] | None,
        most: int,
        seed: int,
    ) -> Work:
        prompt = self._known.get(name)
        if samples is not None:
            prompt = yield from self._codec.codes(samples)
            if name != DEFAULT:
                self._known[name] = prompt
        spoken = Spoken(text=text, prompt=prompt, most=most, seed=seed, how=how)
        while self._taken >= AT_ONCE:
            yield None
        self._taken += 1  # before it begins, which takes turns: others look meanwhile
        try:
            return (yield from self._spoken(spoken, seed))
        finally:
            self._taken -= 1

    def _spoken(self, spoken: Spoken, seed: int) -> Work:
        speech = yield from self._loop.begin(spoken)
        self._running.append(speech)
        parts: list[np.ndarray[Any, Any]] = []
        total, told = speech.last - speech.first, 0
        try:
            while True:
                if not speech.done and not speech.fresh:
                    self._loop.step([each for each in self._running if not each.done])
                speech.fresh = False
                for part in self._parts(speech, len(parts)):
                    parts.append(part)
                    yield Sound(part, self.rate, seed)
                if speech.done:
                    break
                made = len(speech.rows) - speech.first
                if made >= told + TOLD:
                    told = made
                    yield Progress(min(made, total), total, "frames")
                else:
                    yield None
        finally:
            self._running.remove(speech)
            self._loop.drop(speech)
        empty = np.zeros(0, np.float32)
        return Sound(np.concatenate(parts) if parts else empty, self.rate, seed)

    def _parts(self, speech: Speech, had: int) -> Iterator[np.ndarray[Any, Any]]:
        """Sounds of windows whose frames are all there. had: windows that were given already."""
        ready, reach = speech.ready(), self._codec.model.cfg.decoder_reach
        for start in range(had * WINDOW, ready, WINDOW):
            stop = start + WINDOW
            if not speech.done and stop + reach > ready:
                return
            stop, after = min(stop, ready), min(stop + reach, ready)
            before = max(0, start - reach)
            codes = speech.codes(before, after)
            yield self._codec.sound(codes, start - before, after - stop)

    def _whole_text(self, text: str, words: str | None) -> str:
        """What the model reads: a voice's words first. Raises RequestError."""
        if not text.strip():
            raise RequestError("the text is empty: there is nothing to say")
        if words is not None:
            words = words.strip()
            text = f"{words if _tagged(words) else f'[S1] {words}'} {text.strip()}"
        elif not _tagged(text):
            text = f"[S1] {text.strip()}"
        size, most = len(text_ids(text)), self._cfg.encoder_config.max_position_embeddings
        if size > most:
            told = " with the words of its voice" if words is not None else ""
            raise RequestError(
                f"the text{told} has {size} bytes, {size - most} more than the {most} that the "
                "model reads at once: say it in parts"
            )
        return text

    def _choosing(self, extra: Mapping[str, Any]) -> Choosing:
        for name in extra:
            if name not in CHECKS:
                raise RequestError(
                    f"there is no option {name!r:.40}; this model has {', '.join(CHECKS)}"
                )
        check_options(extra, CHECKS)
        return Choosing(**{**self._defaults, **extra})

    def _seconds(self, frames: int) -> float:
        return frames * self._codec.hop / self.rate


def _tagged(text: str) -> bool:
    return "[S1]" in text or "[S2]" in text


def _defaults(told: Mapping[str, Any]) -> dict[str, float]:
    """What a model's maker recommends, of generation_config.json."""
    names = {"guidance_scale": "guidance", "temperature": "temperature", "top_p": "top_p",
             "top_k": "top_k"}  # fmt: skip
    found = {to: told[name] for name, to in names.items() if told.get(name) is not None}
    return {name: value for name, value in found.items() if CHECKS[name].fits(value)}
