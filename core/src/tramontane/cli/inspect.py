"""`tramontane inspect`: what a model's files hold, read from their headers alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from tramontane.errors import CheckpointError, PluginError, RequestError, TemplateError

from .options import add_model, hub_options
from .parser import Parser
from .quantizing_options import fitted_name

if TYPE_CHECKING:
    from tramontane.checkpoint.checkpoint import Checkpoint, Header
    from tramontane.checkpoint.load_options import LoadOptions, QuantizedReport
    from tramontane.config import DecoderConfig
    from tramontane.plugin import Architecture
    from tramontane.registry import Registry

SUMMARY = "Show a model's header, tensors, size, tokenizer and template. Loads no weights."
SHOWN = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "intermediate_size", "vocab_size", "max_position_embeddings", "rope_theta", "rope_scaling",
    "sliding_window", "tie_word_embeddings", "torch_dtype", "dtype", "quantization_config",
)  # fmt: skip


def run(argv: list[str]) -> int:
    """Print the header of a model."""
    parser = Parser("tramontane inspect", description=SUMMARY)
    parser.add_argument("--tensors", action="store_true", help="every tensor on a line")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    add_model(parser)
    options = parser.parse_args(argv)
    found = _look(options)
    if options.json:
        json.dump(found, sys.stdout, indent=2, default=str)
        print()
    else:
        _print(found, options.tensors)
    return 0


def _look(options: argparse.Namespace) -> dict[str, Any]:
    from tramontane import memory
    from tramontane.answers import Dialect
    from tramontane.chat.choose import choose_template
    from tramontane.checkpoint.checkpoint import HasProcessor, chat_templates
    from tramontane.hub.stored_models import size_on_disk
    from tramontane.model.encoder_file import open_with_encoder
    from tramontane.model.source import find_model
    from tramontane.plugin import Architecture
    from tramontane.registry import Registry

    from .inspect_media import media_of

    registry = Registry.from_environment()
    hub = hub_options(options)
    name = fitted_name(options, hub, registry)
    path = find_model(name, registry, hub)
    checkpoint = open_with_encoder(path, name, options.mmproj, registry, hub)
    header = checkpoint.header
    quantized = _quantized(checkpoint, registry, options)
    offer: Architecture | None
    try:
        offer = registry.get(Architecture, header.architecture)
        served = offer.model.partition(":")[0].partition(".")[0].replace("_", "-")
        built = _built(offer, header)
    except PluginError as error:
        offer, built, served = None, None, str(error)
    context, states = ({}, 0) if built is None else _context(built[1])
    try:
        found = checkpoint.tokenizer()
        tokenizer: dict[str, Any] = _tokenizer(found)
        named = found.named
    except CheckpointError as error:
        found, tokenizer, named = None, {"problem": str(error)}, {}
    files = checkpoint.processor() if isinstance(checkpoint, HasProcessor) else {}
    # a file of the language model alone may be of a family that sees
    blind = header.dialect == "gguf" and header.encoder is None
    media: dict[str, Any] = {}
    if not (blind or built is None or offer is None):
        media = media_of(offer, *built, files, found, checkpoint)
    template, for_tools = chat_templates(checkpoint)
    devices = [] if built is None else _devices(checkpoint, registry, options)
    shares = [] if built is None else _shares(checkpoint, registry, options)
    checkpoint.close()
    if options.chat_template is not None:
        template = choose_template(None, None, options.chat_template)
        for_tools = choose_template(None, None, options.chat_template, tools=True)
    try:
        dialect = Dialect.of(registry, for_tools, options.tool_caller)
    except PluginError as error:
        raise RequestError(f"--tool-caller: {error}") from error
    # a caller without markers is the last resort for templates that show nothing
    caller = dialect.caller
    known = caller if caller and (options.tool_caller or caller.markers) else None
    infos = header.tensors.values()
    total = sum(info.nbytes for info in infos)
    held = sum(info.held for info in infos)
    return {
        "path": str(header.path),
        "container": header.container,
        "architecture": header.architecture,
        "served_by": served,
        "takes": [] if offer is None else ["text"] if blind else _takes(offer, media),
        "encoder": _encoder(header),
        "media": media,
        "config": {k: header.config[k] for k in SHOWN if header.config.get(k) is not None},
        "tensors": {
            name: {"shape": list(info.shape), "stored": info.stored, "bytes": info.nbytes}
            for name, info in header.tensors.items()
        },
        "stored": dict(Counter(info.stored for info in header.tensors.values())),
        "bytes": total,
        "bytes_in_memory": held,
        "quantized": None if quantized is None else asdict(quantized),
        "bytes_on_disk": size_on_disk(path),
        "kv_bytes_per_token": context,
        "state_bytes_per_sequence": states,
        "memory_free": memory.free(),
        "devices": devices,
        "ranks": shares,
        "tokenizer": tokenizer,
        "chat_template": template,
        "template": _features(template, for_tools, named),
        "tool_caller": known.name if known else None,
        "reasoning": dialect.reasoner.name if dialect.reasoner else None,
    }


def _quantized(
    checkpoint: Checkpoint, registry: Registry, options: argparse.Namespace
) -> QuantizedReport | None:
    """What --isq and --topology would make of the matrices."""
    from tramontane.checkpoint.load import foresee_quantizing

    if options.isq is None and options.topology is None:
        return None
    return foresee_quantizing(checkpoint, registry, _load_options(options))


def _devices(
    checkpoint: Checkpoint, registry: Registry, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """What goes where on several devices; nothing where one has all, or where nothing says more
    than which one."""
    from tramontane.checkpoint.load import foresee_placement
    from tramontane.system.devices import accelerators

    said = (options.gpu_layers, options.device_map, options.n_cpu_moe, options.topology)
    if said == (None,) * 4 and not accelerators(registry):
        return []
    try:
        found = foresee_placement(checkpoint, registry, _load_options(options))
    except CheckpointError:
        if said != (None,) * 4:
            raise
        return []  # `run` would say it; here is more to be seen
    return [asdict(each) for each in found]


def _shares(checkpoint: Checkpoint, registry: Registry, options: argparse.Namespace) -> list[str]:
    """What each of the processes of --tp would have."""
    from tramontane.parallel.foresee import foresee_shares
    from tramontane.parallel.ranks import numa_nodes

    load_options = _load_options(options)
    asked = load_options.tp
    size = numa_nodes() if asked == "auto" else int(asked or 1)
    return foresee_shares(checkpoint, registry, load_options, size) if size > 1 else []


def _load_options(options: argparse.Namespace) -> LoadOptions:
    from tramontane.checkpoint.load_options import LoadOptions

    from .placement_options import placement

    return LoadOptions(
        device=options.device,
        dtype=options.dtype,
        kv_type=options.kv_type,
        num_ctx=options.num_ctx,
        force=options.force,
        isq=options.isq,
        isq_organization=options.isq_organization,
        topology=options.topology,
        **placement(options),
    )


def _built(offer: Architecture, header: Header) -> tuple[DecoderConfig, Any] | None:
    """The configuration, and the model without weights; None where `run` would say why not."""
    from tramontane.checkpoint.build import build, refuse_absurd_depth
    from tramontane.checkpoint.metadata import fields_of
    from tramontane.config import read_config
    from tramontane.plugin import load

    try:
        config = cast("DecoderConfig", read_config(load(offer.config), fields_of(offer, header)))
        refuse_absurd_depth(header, config)
        return config, build(offer, config)
    except CheckpointError:  # there is more to be seen
        return None


def _context(model: Any) -> tuple[dict[str, int], int]:
    """Bytes that a token of context takes, by what keys and values may be kept in; and those that
    the states of a request take."""
    from tramontane.checkpoint.load import KV_DTYPES, KV_TYPES
    from tramontane.engine.kv_cache import bytes_per_token
    from tramontane.engine.state_cache import bytes_per_sequence

    kept = {name: bytes_per_token(model, KV_DTYPES[kind]) for name, kind in KV_TYPES.items()}
    return kept, bytes_per_sequence(model)


def _encoder(header: Header) -> dict[str, str] | None:
    """The encoder of images, where it is in a file of its own."""
    if header.encoder is None:
        return None
    return {"path": str(header.encoder_path), "type": header.encoder}


def _takes(offer: Architecture, media: dict[str, Any]) -> list[str]:
    from tramontane.media.processor import NAMES

    kinds = media.get("tokens", {} if offer.media is None else {"image": {}})
    return ["text", *(NAMES[kind] for kind in kinds)]


def _tokenizer(tokenizer: Any) -> dict[str, Any]:
    return {
        "kind": tokenizer.kind,
        "vocabulary": tokenizer.vocab_size,
        "bos": tokenizer.bos_id,
        "eos": sorted(tokenizer.eos_ids),
    }


def _weights(found: dict[str, Any]) -> str:
    """Their size in the file, in memory where it is another one, and what is free."""
    from tramontane.memory import readable

    size, held = found["bytes"], found["bytes_in_memory"]
    grown = f", {readable(held)} in memory" if readable(held) != readable(size) else ""
    return f"{readable(size)}{grown}, {readable(found['memory_free'])} of memory free"


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _print(found: dict[str, Any], tensors: bool) -> None:
    from tramontane.checkpoint.load_options import DeviceReport, table
    from tramontane.memory import readable

    from .inspect_media import rows_of_media

    stored = ", ".join(f"{count} x {kind}" for kind, count in found["stored"].items())
    states = found["state_bytes_per_sequence"]
    rows = {
        "path": found["path"],
        "container": found["container"],
        "architecture": f"{found['architecture']} ({found['served_by']})",
        **({"takes": _and(found["takes"])} if found["takes"] else {}),
        **(
            {"encoder's file": f"{found['encoder']['path']} ({found['encoder']['type']})"}
            if found["encoder"]
            else {}
        ),
        **rows_of_media(found["media"]),
        **{key: value for key, value in found["config"].items()},
        "tensors": f"{len(found['tensors'])} ({stored})",
        "size on disk": readable(found["bytes_on_disk"]),
        "weights": _weights(found),
        **_rows_of(found["quantized"]),
        "KV cache per token": _kept(found["kv_bytes_per_token"]),
        **({"states per request": readable(states)} if states else {}),
        "tokenizer": ", ".join(f"{key} {value}" for key, value in found["tokenizer"].items()),
        "chat template": _summary(found["template"]),
        "tool calls": found["tool_caller"] or "none known",
        "reasoning": found["reasoning"] or "none known",
    }
    width = max(map(len, rows))
    for title, value in rows.items():
        print(f"{title:<{width}}  {value}")
    if found["ranks"]:
        print("", *found["ranks"], sep="\n")
    if found["devices"]:
        print()
        for line in table([DeviceReport(**each) for each in found["devices"]]):
            print(line)
    if tensors:
        print()
        for name, info in found["tensors"].items():
            shape = " x ".join(map(str, info["shape"]))
            print(f"{info['stored']:<8}{readable(info['bytes']):>8}  {name}  {shape}")


def _kept(sizes: dict[str, int]) -> str:
    """What a token of context takes."""
    from tramontane.memory import readable

    if not sizes:
        return "not known"
    if not any(sizes.values()):
        return "nothing, no layer has keys and values"
    return ", ".join(f"{readable(size)} in {kind}" for kind, size in sizes.items())


def _rows_of(quantized: dict[str, Any] | None) -> dict[str, str]:
    from tramontane.checkpoint.load_options import QuantizedReport

    if quantized is None:
        return {}
    first, *more = QuantizedReport(**quantized).lines()
    title, _, said = first.partition(": ")
    return {title: "; ".join((said, *map(str.strip, more)))}


def _features(
    template: str | None, for_tools: str | None, named: dict[str, str]
) -> dict[str, Any] | None:
    """Roles that the template writes, and variables that it reads; None without a template."""
    from tramontane.chat.features import roles, variables

    if template is None:
        return None
    try:
        return {
            "roles": roles(for_tools or template, named),
            "variables": sorted(
                {*variables(template), *variables(for_tools or template)} - {*named}
            ),
        }
    except TemplateError as error:
        return {"problem": str(error)}


def _summary(template: dict[str, Any] | None) -> str:
    if template is None:
        return "none"
    if "problem" in template:
        return str(template["problem"])
    parts = [
        f"{what} {', '.join(template[what])}" for what in ("roles", "variables") if template[what]
    ]
    return "; ".join(parts) or "no roles"
