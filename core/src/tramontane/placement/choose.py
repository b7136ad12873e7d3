"""From what is asked, and from what there is, to a placement."""

from __future__ import annotations

from torch import nn

from tramontane.backend import HOST
from tramontane.blocks import Embedding, Experts, Linear
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.errors import ConfigError, PluginError, UsageError
from tramontane.quantizing.topology import Topology
from tramontane.registry import Registry
from tramontane.system.devices import accelerators, choose_device, host_device

from .asked import Range, by_layer, parse_cpu_moe, parse_gpu_layers, parse_map
from .automatic import automatic, in_order, last_layers
from .placement import Found, Placement, on_one
from .sizes import Sizes

PLACEABLE = (Linear, Embedding, Experts)
"""What may be on another device than the module that it is in."""


def choose_placement(
    options: LoadOptions,
    topology: Topology | None,
    registry: Registry,
    model: nn.Module,
    layers: int,
    sizes: Sizes,
    at_home: int,
    tokens: int,
) -> Placement:
    """sizes: of the model's modules. at_home: bytes for logits and encoded media. tokens: of
    context.

    Raises ConfigError, UsageError and PluginNotInstalled for what cannot be.
    """
    count, moe = parse_gpu_layers(options.gpu_layers), parse_cpu_moe(options.n_cpu_moe)
    if options.device_map is not None:
        if count is not None:
            raise ConfigError("--gpu-layers and --device-map both place layers; give one")
        if options.device != "auto":
            raise ConfigError("--device and --device-map both say where to run; give one")
        found = _mapped(options.device_map, registry, layers)
    else:
        main, host = choose_device(options.device, registry), host_device(registry)
        if count not in (None, "all") and main[0].memory == HOST:
            if count not in (0, "auto"):
                raise ConfigError(
                    f"--gpu-layers {count}: {main[0].name} is no accelerator; {_there(registry)}"
                )
            found = on_one(main, layers)
        elif isinstance(count, int):
            found = last_layers(count, main, host, layers)
        elif main[0].memory != HOST and moe is None and _may_spread(options, count):
            cards = [main]
            if options.device == "auto":
                cards += [pair for pair in accelerators(registry) if pair[0].name != main[0].name]
            found = automatic(cards, host, layers, sizes, at_home, tokens)
        else:
            found = on_one(main, layers)
    if moe is not None:
        found = _experts_aside(found, moe, host_device(registry), sizes)
    if topology is not None:
        found = _by_topology(found, topology, registry, model, layers)
    _refuse_tied_apart(found, model)
    return found


def _may_spread(options: LoadOptions, count: int | str | None) -> bool:
    """A device that is asked for by name runs the whole model, unless it is said otherwise."""
    return count == "auto" or (count is None and options.device == "auto" and not options.force)


def _there(registry: Registry) -> str:
    names = [device.name for device, _ in accelerators(registry)]
    if names:
        return f"name one with --device: {', '.join(names)}"
    return "none of the installed backends finds one; see tramontane doctor"


def _mapped(text: str, registry: Registry, layers: int) -> Placement:
    parsed = parse_map(text)
    counts = [each for each in parsed if isinstance(each, tuple)]
    if counts:
        cards = accelerators(registry)
        for ordinal, _ in counts:
            if ordinal >= len(cards):
                raise ConfigError(
                    f"device map {text!r:.80}: there is no accelerator {ordinal}; "
                    f"{_there(registry)}"
                )
        if len({ordinal for ordinal, _ in counts}) < len(counts):
            raise ConfigError(f"device map {text!r:.80}: an accelerator is named twice")
        pairs = [(cards[ordinal], count) for ordinal, count in counts]
        return in_order(pairs, host_device(registry), layers)
    found = [each for each in parsed if isinstance(each, Range)]
    names = by_layer(text, found, layers)
    order = list(dict.fromkeys(each.device for each in found))
    devices = tuple(choose_device(name, registry) for name in order)
    return Placement(devices, tuple(order.index(name) for name in names))


def _with(placement: Placement, device: Found) -> tuple[tuple[Found, ...], int]:
    """A placement's devices with another, and its index."""
    for index, (each, _) in enumerate(placement.devices):
        if each.name == device[0].name:
            return placement.devices, index
    return (*placement.devices, device), len(placement.devices)


def _experts_aside(found: Placement, moe: int | str, host: Found, sizes: Sizes) -> Placement:
    if not sizes.experts:
        raise ConfigError("--n-cpu-moe, --cpu-moe: the model has no experts")
    devices, at = _with(found, host)
    most = len(found.layers) if moe == "all" else int(moe)
    modules = {
        path: at
        for layer, paths in sizes.experts.items() if layer < most
        for path in paths
    }  # fmt: skip
    # where they are already nothing is said
    modules = {path: to for path, to in modules.items() if found.index(path) != to}
    return Placement(devices, found.layers, {**found.modules, **modules})


def _by_topology(
    found: Placement, topology: Topology, registry: Registry, model: nn.Module, layers: int
) -> Placement:
    placed, modules = list(found.layers), dict(found.modules)
    for start, end, entry in topology.ranges:
        if entry.device is None:
            continue
        if end > layers:
            raise UsageError(
                f"{topology.path}: {start}-{end}: the model has {layers} layers; the second number "
                "is the one after the last"
            )
        devices, at = _with(found, _named(entry.device, topology, registry))
        found = Placement(devices, found.layers, found.modules)
        placed[start:end] = [at] * (end - start)
    weights = _units(model)
    for pattern, entry in topology.patterns:
        if entry.device is None:
            continue
        devices, at = _with(found, _named(entry.device, topology, registry))
        found = Placement(devices, found.layers, found.modules)
        hit = [path for path in weights if pattern.search(path)]
        if not hit:
            raise UsageError(
                f"{topology.path}: /{pattern.pattern}/ has a device and is the name of no weight"
            )
        units = dict.fromkeys(weights[path] for path in hit)
        for unit in units:
            if unit is None:
                name = next(path for path in hit if weights[path] is None)
                raise UsageError(
                    f"{topology.path}: {name} cannot be on a device of its own: what can are "
                    "whole layers, experts, and matrices"
                )
            missing = [path for path, of in weights.items() if of == unit and path not in hit]
            if missing:
                raise UsageError(
                    f"{topology.path}: /{pattern.pattern}/ has a device for some of {unit}, which "
                    f"is on one device: {missing[0]} is not among them"
                )
            modules[unit] = at
    kept = Placement(found.devices, tuple(placed), modules)
    plain = Placement(found.devices, tuple(placed))
    return Placement(
        kept.devices, kept.layers,
        {path: to for path, to in modules.items() if plain.index(path) != to},
    )  # fmt: skip


def _named(device: str, topology: Topology, registry: Registry) -> Found:
    """Raises UsageError that names the file."""
    try:
        return choose_device(device, registry)
    except (PluginError, ConfigError) as error:
        raise UsageError(f"{topology.path}: device {device}: {error}") from error


def _units(model: nn.Module) -> dict[str, str | None]:
    """Of each weight the module that is placed with it; None: only its layer is."""
    found: dict[str, str | None] = {}
    experts = [path for path, each in model.named_modules() if isinstance(each, Experts)]
    for path, module in model.named_modules():
        inner = next((each for each in experts if path.startswith(f"{each}.")), None)
        whole = inner or (path if isinstance(module, PLACEABLE) else None)
        names = [name for name, _ in module.named_parameters(recurse=False)]
        if hasattr(module, "weight") and "weight" not in names:
            names.append("weight")
        for name in names:
            found[f"{path}.{name}"] = whole
    return found


def _refuse_tied_apart(placement: Placement, model: nn.Module) -> None:
    config = getattr(model, "cfg", None)
    if not getattr(config, "tie_word_embeddings", False):
        return
    table, head = placement.device("model.embed_tokens"), placement.device("lm_head")
    if table.name != head.name:
        raise UsageError(
            f"lm_head and model.embed_tokens are one matrix and cannot be on {head.name} and "
            f"{table.name}: give both the same device"
        )
