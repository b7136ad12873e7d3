"""Voices to take up: sounds of a speaker, each with what is said in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tramontane.errors import ConfigError, RequestError
from tramontane.media.sound import samples_of

DEFAULT = "default"
"""The name for a voice of the model's own choice, another for each seed."""
VARIABLE = "TRAMONTANE_VOICES"
ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".aiff")
MOST_TEXT = 1 << 14
SILENCE = 1e-4


@dataclass(frozen=True)
class Voice:
    """A file with a speaker, and what is said there."""

    path: Path
    text: str


def voices_of(model: Path, where: str | None = None) -> Mapping[str, Voice]:
    """Voices by name: of the folder `voices` in the model's, and of one that the environment's
    TRAMONTANE_VOICES names, which goes first. Each is a sound, NAME.wav, say, with its words beside
    it, NAME.txt. where: instead of the environment's.

    Raises ConfigError for a folder that is none, and for a sound without words.
    """
    found: dict[str, Voice] = {}
    named = os.environ.get(VARIABLE) if where is None else where
    if named and not Path(named).is_dir():
        raise ConfigError(f"{VARIABLE}={named} is no folder: give one with NAME.wav and NAME.txt")
    own = model / "voices"
    folders = [own] if own.is_dir() else []
    for folder in [*folders, *([Path(named)] if named else [])]:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in ENDINGS and path.stem != DEFAULT:
                found[path.stem] = Voice(path, _words(path))
    return found


def _words(path: Path) -> str:
    beside = path.with_suffix(".txt")
    try:
        data = beside.read_bytes()[: MOST_TEXT + 1]
        text = data.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: a voice needs what is said in it, as UTF-8 in {beside.name}: {error}"
        ) from error
    if not text or len(data) > MOST_TEXT:
        raise ConfigError(f"{beside} is empty, or longer than {MOST_TEXT} bytes")
    return text


def refuse_voice(name: str, known: Iterable[str]) -> None:
    """Raises RequestError for a voice that nobody set up."""
    names = [DEFAULT, *known]
    if name not in names:
        raise RequestError(
            f"there is no voice {name!r:.60}; voices: {', '.join(names)}",
            hint=f"a new one is a sound NAME.wav and its words NAME.txt in a folder that "
            f"{VARIABLE} names",
        )


def sample_of(sound: Any, where: str, rate: int, most: float) -> npt.NDArray[np.float32]:
    """A sound of at most so many seconds. Raises RequestError for one that is damaged, silent or
    too long."""
    samples = samples_of(sound, where, rate)
    if len(samples) > most * rate:
        raise RequestError(
            f"{where} is {len(samples) / rate:.1f} seconds long, more than the {most:.1f} that "
            "leave room for speech: cut it, and its text"
        )
    if np.abs(samples).max() < SILENCE:
        raise RequestError(f"{where} is silent: there is no voice to take up")
    return samples
