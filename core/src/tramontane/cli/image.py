"""`tramontane image`: images of a description."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import RequestError, UsageError

from .parser import Parser, at_least
from .progress import Loading
from .task_options import add_task_model, open_face
from .terminal_picture import picture_writer

if TYPE_CHECKING:
    from tramontane.tasks.image import Images
    from tramontane.tasks.queue import Progress

SUMMARY = """\
Make images of a description, or of a description and an image. The names of the files are printed,
one a line."""
DEFAULT = "image.png"
WIDE = 24


def run(argv: list[str]) -> int:
    """Write the images, and print the names of their files."""
    parser = _parser()
    options = parser.parse_args(argv)
    prompt = options.text if options.input is None else options.input
    if options.input is not None and options.text is not None:
        parser.set_model(options, options.text)
    if prompt is None:
        raise UsageError('describe an image: tramontane image "a red fox in the snow" -m MODEL')
    if options.model is None:
        raise UsageError(
            "name a model that makes images with -m: a folder, a model file, or a hub id, org/name"
        )
    files = _files(options.output, options.n)
    asked = _asked(options)
    from tramontane.tasks.image import ImageModel, ImageOptions

    ImageOptions(**asked)
    model = open_face(partial(ImageModel, parts=options.parts), options)
    with model, Steps(quiet=options.quiet) as steps:
        found = model.images(prompt, progress=steps, **asked)
    _write(found, files)
    if options.json:
        print(json.dumps(_told(found, files), ensure_ascii=False))
        return 0
    for file, seed in zip(files, found.seeds, strict=True):
        print(file)
        if not options.quiet:
            said = ", ".join(f"{name} {value}" for name, value in found.settings.items())
            print(f"  seed {seed}, {said}", file=sys.stderr)
    if not (options.quiet or options.no_preview):
        _show(found)
    return 0


def _parser() -> Parser:
    parser = Parser("tramontane image", description=SUMMARY)
    parser.add_argument("text", nargs="?", metavar="PROMPT", help="what the image should show")
    parser.add_argument(
        "--input", metavar="PROMPT", help="the prompt as an option; the argument is then MODEL"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE",
        help=f"the file, whose ending says the format; of several images NAME-1, NAME-2 and so on "
        f"(default: {DEFAULT}, or the next number that is free)",
    )  # fmt: skip
    parser.add_argument("-n", type=at_least(1), default=1, metavar="N", help="number of images")
    parser.add_argument(
        "--size", metavar="WxH", help="width and height in pixels, 1024x1024; or the model's own"
    )
    parser.add_argument("--steps", type=at_least(1), metavar="N", help="steps of denoising")
    parser.add_argument(
        "--guidance", type=float, metavar="X",
        help="how closely it follows the prompt, for models with guidance",
    )  # fmt: skip
    parser.add_argument(
        "--shift", type=float, metavar="X",
        help="above 1: more steps where there is much noise; without it, as the model says",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=at_least(0), metavar="N", help="the same seed gives the same image"
    )
    parser.add_argument(
        "--max-sequence-length", type=at_least(1), metavar="N", help="tokens of the prompt"
    )
    parser.add_argument(
        "--parts", type=Path, metavar="DIR",
        help="a folder with the parts that a model's file lacks: text encoders, tokenizers, vae",
    )  # fmt: skip
    parser.add_argument("--image", metavar="FILE", help="an image to begin with")
    parser.add_argument(
        "--strength", type=float, default=0.8, metavar="X",
        help="how much of that image becomes noise, 0 to 1",
    )  # fmt: skip
    parser.add_argument(
        "--no-preview", action="store_true",
        help="do not show the images in a terminal that shows pictures",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="print names of files only")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    add_task_model(parser)
    parser.set_defaults(model=None)  # the embedded model writes text
    return parser


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `ImageModel.images`."""
    names = ("n", "steps", "guidance", "shift", "seed", "max_sequence_length", "image", "strength")
    asked = {name: getattr(options, name) for name in names}
    if options.size is not None:
        width, by, height = options.size.lower().partition("x")
        if not (by and width.isdecimal() and height.isdecimal()):
            raise UsageError(f"--size {options.size}: width and height in pixels, as 1024x768")
        asked |= {"width": int(width), "height": int(height)}
    return asked


def _files(output: Path | None, count: int) -> list[Path]:
    """Where images go. Raises UsageError where they cannot."""
    path = output or _free(Path(DEFAULT), count)
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            "images need Pillow, which is not installed: pip install pillow"
        ) from error
    kinds = Image.registered_extensions()
    writes = sorted(ending for ending, kind in kinds.items() if kind in Image.SAVE)
    if path.suffix.lower() not in writes:
        raise UsageError(
            f"-o {path}: the ending says the format, and {path.suffix or 'none'!r} is none that is "
            f"written; some that are: .png, .jpg, .webp, .tiff, .bmp"
        )
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: there is no folder {path.parent}")
    if count == 1:
        return [path]
    return [_numbered(path, number) for number in range(1, count + 1)]


def _free(path: Path, count: int) -> Path:
    """The path, or the next one with a number, of which nothing is there yet."""
    number, found = 1, path
    while found.exists() or (count > 1 and _numbered(found, 1).exists()):
        number += 1
        found = path.with_stem(f"{path.stem}{number}")
    return found


def _numbered(path: Path, number: int) -> Path:
    return path.with_stem(f"{path.stem}-{number}")


def _write(found: Images, files: list[Path]) -> None:
    from PIL import Image

    for image, file in zip(found.images, files, strict=True):
        try:
            Image.fromarray(image).save(file)
        except (OSError, ValueError) as error:
            raise RequestError(f"cannot write {file}: {error}") from error


def _told(found: Images, files: list[Path]) -> dict[str, Any]:
    images = [
        {"file": str(file), "seed": seed} for file, seed in zip(files, found.seeds, strict=True)
    ]
    return {"images": images, **found.settings}


def _show(found: Images) -> None:
    writer = picture_writer(os.environ) if sys.stdout.isatty() else None
    if writer is None:
        return
    from PIL import Image

    for image in found.images:
        sys.stdout.write(writer(Image.fromarray(image)))
    sys.stdout.flush()


class Steps(Loading):
    """A bar on stderr, and none where nobody is looking."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__()
        self._terminal = self._terminal and not quiet
        self._began: tuple[int, float] | None = None

    def __call__(self, told: Progress) -> None:  # type: ignore[override]
        if not self._terminal:
            return
        now, done, total = time.monotonic(), told.done, max(told.total, 1)
        if self._began is None:
            self._began = done, now
        first, began = self._began
        left = ""
        if done > first:
            seconds = (now - began) / (done - first) * (total - done)
            left = f", {seconds:.0f} s left"
        full = WIDE * done // total
        self._drawn = True
        self._draw(f"[{'#' * full}{'.' * (WIDE - full)}] {done} of {total} {told.what}{left}")
