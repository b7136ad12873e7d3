"""`-i` with a model that draws or speaks: a prompt on each line, a file for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import TramontaneError

from tramontane_plugin_mistralrs.values import number

OPENING = ("token_source", "device", "dtype", "isq", "topology")
"""Options of both that `Plan` may have, under the names that the Python classes have."""


def converse(command: str, options: Mapping[str, Any]) -> int:
    """Make what each line asks for, until the input ends. command: image or speak."""
    given = {name: options[name] for name in OPENING if name in options}
    if "hf_cache" in options:
        given["cache_dir"] = Path(options["hf_cache"])
    if "topology" in given:
        given["topology"] = Path(given["topology"])
    seed: dict[str, Any] = {"seed": number("--seed", options["seed"])} if "seed" in options else {}
    make = _Images if command == "image" else _Speech
    with make(str(options["model"]), given, seed) as maker:
        print("a prompt on each line; Ctrl-D ends", file=sys.stderr)
        for line in _lines():
            try:
                print(maker(line))
            except TramontaneError as error:
                print(f"error: {error}", file=sys.stderr)
    return 0


def _lines() -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line or line.strip() in ("\\exit", "/exit"):
            return
        if line.strip():
            yield line.strip()


def free_file(stem: str, ending: str) -> Path:
    """NAME-1.png, or the first number that no file has."""
    numbers = range(1, sys.maxsize)
    paths = (Path(f"{stem}-{number}{ending}") for number in numbers)
    return next(path for path in paths if not path.exists())


class _Images:
    def __init__(self, model: str, given: dict[str, Any], seed: dict[str, Any]) -> None:
        from tramontane.tasks.image import ImageModel

        self._model, self._seed = ImageModel(model, **given), seed

    def __enter__(self) -> Callable[[str], Path]:
        self._model.__enter__()
        return self._make

    def __exit__(self, *error: Any) -> None:
        self._model.close()

    def _make(self, prompt: str) -> Path:
        from PIL import Image

        found = self._model.images(prompt, **self._seed)
        path = free_file("image", ".png")
        Image.fromarray(found.images[0]).save(path)
        return path


class _Speech:
    def __init__(self, model: str, given: dict[str, Any], seed: dict[str, Any]) -> None:
        from tramontane.tasks.speech import SpeechModel

        self._model, self._seed = SpeechModel(model, **given), seed

    def __enter__(self) -> Callable[[str], Path]:
        self._model.__enter__()
        return self._make

    def __exit__(self, *error: Any) -> None:
        self._model.close()

    def _make(self, text: str) -> Path:
        from tramontane.media.write_sound import SoundWriter

        sound = self._model.speak(text, **self._seed)
        path = free_file("speech", ".wav")
        path.write_bytes(SoundWriter("wav", sound.rate).whole(sound.samples))
        return path
