"""`tramontane imatrix`: measure on a text which columns of a model's matrices matter."""

from __future__ import annotations

from pathlib import Path

from tramontane.errors import RequestError, UsageError

from .options import add_source, hub_options
from .parser import Parser
from .progress import Loading

SUMMARY = """\
Run a model over a text, and write the mean squares of what each column of its matrices is
multiplied with. Quantizing with them (--imatrix) spares what matters. The file is llama.cpp's where
its name ends in .gguf and that plugin is installed, else one of safetensors."""


def run(argv: list[str]) -> int:
    """Measure, and write the file."""
    parser = Parser("tramontane imatrix", description=SUMMARY)
    parser.add_argument("--text", type=Path, metavar="FILE", help="a UTF-8 text to measure on")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file to write")
    add_source(parser.add_argument_group("model"))
    options = parser.parse_args(argv)
    if options.text is None or options.output is None:
        raise UsageError("--text and --output are needed: tramontane imatrix MODEL --text T -o O")

    from tramontane.checkpoint.load_options import LoadOptions
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.quantizing.calibrate import calibrate
    from tramontane.quantizing.importance import write_importance
    from tramontane.registry import Registry

    registry = Registry.from_environment()

    def opened(**more: object) -> LoadedModel:
        hub = hub_options(options)
        return LoadedModel(options.model, hub=hub, registry=registry, **more)  # type: ignore[arg-type]

    with Loading("measuring") as progress:
        found = calibrate(opened, LoadOptions(), options.text, progress)
    try:
        write_importance(found, options.output, registry, options.text.name)
    except OSError as error:
        raise RequestError(f"cannot write {options.output}: {error.strerror or error}") from error
    print(f"{options.output}: {len(found)} matrices")
    return 0
