"""`-i` with a model that draws or speaks: a prompt on each line, a file for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
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
    model, make = _opened(command, str(options["model"]), given)
    with closing(model):
        print("a prompt on each line; Ctrl-D ends", file=sys.stderr)
        for line in _lines():
            try:
                print(make(model, line, **seed))
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


def _opened(command: str, model: str, given: dict[str, Any]) -> tuple[Any, Callable[..., Path]]:
    """The model, and what makes a file of a line with it."""
    if command == "image":
        from tramontane.tasks.image import ImageModel

        return ImageModel(model, **given), _draw
    from tramontane.tasks.speech import SpeechModel

    return SpeechModel(model, **given), _speak


def _draw(model: Any, prompt: str, **seed: int) -> Path:
    from PIL import Image

    found = model.images(prompt, **seed)
    path = free_file("image", ".png")
    Image.fromarray(found.images[0]).save(path)
    return path


def _speak(model: Any, text: str, **seed: int) -> Path:
    from tramontane.media.write_sound import SoundWriter

    sound = model.speak(text, **seed)
    path = free_file("speech", ".wav")
    path.write_bytes(SoundWriter("wav", sound.rate).whole(sound.samples))
    return path
