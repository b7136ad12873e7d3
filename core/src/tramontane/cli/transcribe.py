"""`tramontane transcribe`: speech written down."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import UsageError

from .parser import Parser
from .progress import Loading
from .task_options import add_task_model, open_face, write_file

if TYPE_CHECKING:
    from tramontane.tasks.transcribe import Transcriber, Transcript

SUMMARY = "Write down the speech in a sound."
FORMATS = ("text", "srt", "vtt", "json", "verbose_json")


def run(argv: list[str]) -> int:
    """Print or write the transcript."""
    parser = Parser("tramontane transcribe", description=SUMMARY)
    parser.add_argument("file", metavar="FILE", help="a sound: WAV, FLAC, OGG, MP3 or AIFF")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file")
    parser.add_argument(
        "--format", choices=FORMATS, help="without it, what the file's ending says, or text"
    )
    parser.add_argument(
        "--language", metavar="NAME", help="a code, de, or an English name; without it, found out"
    )
    parser.add_argument("--translate", action="store_true", help="into English")
    parser.add_argument("--prompt-text", metavar="TEXT", help="what came before: names, a style")
    parser.add_argument(
        "--no-timestamps", action="store_true", help="ask the model for none: only whole windows"
    )
    parser.add_argument(
        "--condition-on-previous", action="store_true", help="show each window the text so far"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="X", default=0.0, help="0: always the likeliest token"
    )
    parser.add_argument(
        "--no-fallback", action="store_true", help="write no window again at higher temperatures"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="of what is drawn")
    add_task_model(parser)
    options = parser.parse_args(argv)
    kind = _format(options)
    if options.output is not None and not Path(options.output).parent.is_dir():
        raise UsageError(f"there is no folder {Path(options.output).parent} to write to")
    if not Path(options.file).is_file():
        raise UsageError(f"there is no file {options.file}")
    from tramontane.tasks.subtitles import written
    from tramontane.tasks.transcribe import Transcriber

    with open_face(Transcriber, options) as model:
        shown = kind == "text" and options.output is None
        transcript = _transcribe(model, options, shown=shown)
    if shown:
        return 0
    text = written(transcript, kind, "translate" if options.translate else "transcribe")
    if options.output is None:
        print(text.removesuffix("\n"))
    else:
        write_file(options.output, text.encode())
        print(f"{options.output}: {transcript.duration:.1f} seconds of sound", file=sys.stderr)
    return 0


def _format(options: argparse.Namespace) -> str:
    if options.format is not None or options.output is None:
        return options.format or "text"
    from tramontane.tasks.subtitles import ENDINGS

    ending = Path(options.output).suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        endings = ", ".join(f".{each}" for each in ENDINGS)
        raise UsageError(f"{options.output} has none of the endings {endings}: give --format")
    return ENDINGS[ending]


def _transcribe(model: Transcriber, options: argparse.Namespace, *, shown: bool) -> Transcript:
    """The transcript; shown: print segments as they come."""
    from tramontane.tasks.queue import Progress
    from tramontane.tasks.transcribe import Segment, Transcript

    given: dict[str, Any] = {
        "language": options.language,
        "into": "english" if options.translate else "same",
        "prompt": options.prompt_text,
        "timestamps": "none" if options.no_timestamps else "segment",
        "condition_on_previous": options.condition_on_previous,
        "temperature": options.temperature,
        "seed": options.seed,
    }
    if options.no_fallback:
        given["fallback"] = ()
    found: Any = None
    inside = False
    events: Any = model.stream(Path(options.file), **given)
    with Loading("transcribing") as progress, closing(events) as parts:
        for part in parts:
            if isinstance(part, Transcript):
                found = part
            elif isinstance(part, Progress):
                progress(part.done, part.total)
            elif shown and isinstance(part, Segment):
                print(part.text.strip(), flush=True)
            elif shown:
                inside = True
                print(part, end="", flush=True)
    if inside:
        print()
    transcript: Transcript = found
    return transcript
