"""`tramontane speak`: a text as a sound, into a file or a pipe."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tramontane.errors import UsageError

from .parser import Parser
from .progress import Loading
from .task_options import add_task_model, open_face, write_file

if TYPE_CHECKING:
    from tramontane.tasks.speech import SpeechModel

SUMMARY = "Speak a text."
FORMATS = ("wav", "flac", "mp3", "opus", "pcm")
ENDINGS = {"ogg": "opus", "raw": "pcm"}
OWN = {
    "guidance": (float, "how far the text counts more; 1: no more than by itself"),
    "temperature": (float, "0: always the most likely sound"),
    "top-p": (float, "keep the most likely codes that together have this probability"),
    "top-k": (int, "keep the K most likely codes; 0: all"),
}
"""Options of models' own."""


def run(argv: list[str]) -> int:
    """Write the sound."""
    parser = Parser("tramontane speak", description=SUMMARY)
    parser.add_argument("text", nargs="?", metavar="TEXT", help="without it, standard input")
    parser.add_argument(
        "--input", metavar="TEXT", help="the text as an option; the argument is then MODEL"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="a file, or - for standard output, also without it"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the sound; without it, the file's ending, or wav"
    )
    parser.add_argument("--voice", metavar="NAME", help="one of the model's voices")
    parser.add_argument("--voices", action="store_true", help="list the voices instead")
    parser.add_argument(
        "--sample", type=Path, metavar="FILE", help="a sound whose voice is taken up"
    )
    parser.add_argument("--sample-text", metavar="TEXT", help="what is said in it")
    parser.add_argument("--speed", type=float, metavar="X", default=1.0, help="1: as it speaks")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same sound")
    parser.add_argument("--max-seconds", type=float, metavar="X", help="the longest sound")
    for name, (number, meaning) in OWN.items():
        parser.add_argument(
            f"--{name}", type=number, metavar="N" if number is int else "X", help=meaning
        )
    add_task_model(parser)
    options = parser.parse_args(argv)
    text = options.text
    if options.input is not None:
        if text is not None:
            parser.set_model(options, text)
        text = options.input
    kind = _format(options)
    if options.output in (None, "-") and not options.voices and sys.stdout.isatty():
        raise UsageError("a sound is no text for a terminal: give -o FILE, or pipe it elsewhere")
    if options.output not in (None, "-") and not Path(options.output).parent.is_dir():
        raise UsageError(f"there is no folder {Path(options.output).parent} to write to")
    if text is None and not options.voices:
        text = sys.stdin.read()
    from tramontane.tasks.speech import SpeechModel

    with open_face(SpeechModel, options) as model:
        if options.voices:
            print("\n".join(model.runner.voices))
            return 0
        return _speak(model, text, kind, options)


def _format(options: argparse.Namespace) -> str:
    if options.format is not None or options.output in (None, "-"):
        return options.format or "wav"
    ending = Path(options.output).suffix.lower().removeprefix(".")
    found = ENDINGS.get(ending, ending)
    if found not in FORMATS:
        raise UsageError(
            f"{options.output} has none of the endings {', '.join(FORMATS)}: give --format"
        )
    return found


def _speak(model: SpeechModel, text: str, kind: str, options: argparse.Namespace) -> int:
    from tramontane.media.write_sound import SoundWriter

    own = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in OWN}
    given: dict[str, Any] = {
        "voice": options.voice,
        "sample": options.sample,
        "sample_text": options.sample_text,
        "speed": options.speed,
        "seed": options.seed,
        "max_seconds": options.max_seconds,
        "extra": {name: value for name, value in own.items() if value is not None},
    }
    writer = SoundWriter(kind, model.runner.rate)
    if options.output in (None, "-"):
        for sound in model.stream(text, **given):
            _send(writer.write(sound.samples), sys.stdout.buffer)
        _send(writer.close(), sys.stdout.buffer)
        return 0
    with ExitStack() as stack:
        shown = stack.enter_context(Loading("speaking"))
        sound = model.speak(text, progress=lambda p: shown(p.done, p.total), **given)
    write_file(options.output, writer.whole(sound.samples))
    print(f"{options.output}: {sound.seconds:.1f} seconds, seed {sound.seed}", file=sys.stderr)
    return 0


def _send(data: bytes, to: BinaryIO) -> None:
    to.write(data)
    to.flush()
