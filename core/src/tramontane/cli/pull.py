"""`tramontane pull`: download a model, so that running it needs no network."""

from __future__ import annotations

from tramontane.errors import UsageError
from tramontane.model.source import find_model, local_path
from tramontane.registry import Registry

from .options import add_source, hub_options
from .parser import Parser

SUMMARY = "Download a model from the hub into the cache; an interrupted download is resumed."


def run(argv: list[str]) -> int:
    """Download, and print where the model is and its size."""
    from tramontane.memory import readable

    parser = Parser("tramontane pull", description=SUMMARY)
    add_source(parser.add_argument_group("model"), default=None)
    options = parser.parse_args(argv)
    if options.model is None:
        raise UsageError("name a model: tramontane pull org/name, or org/name:file.gguf")
    from tramontane.hub.stored_models import size_on_disk

    registry = Registry.from_environment()
    local = local_path(options.model) is not None or options.model in registry.names("models")
    path = find_model(options.model, registry, hub_options(options))
    size = readable(size_on_disk(path))
    print(f"{path} ({size})" if not local else f"{path} ({size}) is on this machine already")
    return 0
