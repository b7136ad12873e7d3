"""What `tramontane inspect` says of media: kinds, encoders, projectors, and what an item costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tramontane.errors import TramontaneError

if TYPE_CHECKING:
    from tramontane.checkpoint.checkpoint import Checkpoint
    from tramontane.media.processor import MediaProcessor
    from tramontane.plugin import Architecture

LAYERS = ("num_hidden_layers", "depth", "encoder_layers", "num_layers")
WIDTHS = ("embed_dim", "hidden_size", "d_model")
"""Names in configurations of encoders; where the first is there, the second is of what it gives."""
CONFIGS = ("vision_config", "audio_config")
ONE = {"image": "an image", "audio": "a sound", "video": "a video"}
PROJECTORS = ("projector", "connector", "merger")
IMAGES = ((448, 448), (1024, 768))
"""Width and height."""
VIDEO = (4, 24, 320, 240)
"""Seconds, frames of each, width and height."""
SOUND = 10
"""Seconds."""


def media_of(
    offer: Architecture,
    config: Any,
    model: Any,
    files: Mapping[str, Any],
    tokenizer: Any,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    """Kinds that are taken, with the tokens of examples; encoders, and what projects their rows;
    which of the checkpoint's own adapters is for which. Empty for a model of text. tokenizer: None
    where there is none; rows alone are counted then."""
    from tramontane.media.processor import by_kind
    from tramontane.plugin import load

    if offer.media is None:
        return {}
    try:
        kinds = by_kind(load(offer.media)(config, files))
    except (ValueError, TypeError, KeyError, LookupError) as error:
        return {"problem": str(error)}
    return {
        "tokens": {kind: _tokens(each, tokenizer) for kind, each in kinds.items()},
        "encoders": {
            name: found for name in CONFIGS if (found := _encoder(getattr(config, name, None)))
        },
        "projectors": _projectors(model),
        "adapters": _adapters(offer, config, checkpoint, kinds),
    }


def _tokens(processor: MediaProcessor, tokenizer: Any) -> dict[str, int | str]:
    """What examples cost, counted by the processor itself, with text around rows where there is
    any; or why it does not take one."""
    import numpy as np

    from tramontane.media.processor import Frames

    def black(height: int, width: int) -> Any:
        return np.zeros((height, width, 3), np.uint8)

    def video() -> Frames:
        seconds, rate, width, height = VIDEO
        total = seconds * rate
        chosen = list(processor.chosen(total, float(rate)))
        size = processor.frame_size(len(chosen), height, width)
        frame = processor.frame(black(height, width), *size)
        pixels = np.broadcast_to(frame, (len(chosen), *frame.shape))
        return Frames(pixels, chosen, float(rate), total, (height, width))

    seconds, rate, *size = VIDEO
    examples: dict[str, dict[str, Callable[[], Any]]] = {
        "image": {f"{width} x {height}": partial(black, height, width) for width, height in IMAGES},
        "video": {f"{seconds} s of {rate} frames, {size[0]} x {size[1]}": video},
        "audio": {f"{SOUND} s": lambda: np.zeros(SOUND * processor.rate, np.float32)},
    }
    found: dict[str, int | str] = {}
    for name, example in examples[processor.kind].items():
        try:
            item = processor.prepare(example())
            found[name] = item.rows
            if tokenizer is not None:
                found[name] = len(tokenizer.encode_chat(processor.written(item)))
        except (ValueError, TramontaneError) as error:
            found[name] = str(error)
    return found


def _encoder(config: Any) -> dict[str, int]:
    """Layers, width and patch of an encoder."""
    if config is None:
        return {}

    def first(names: tuple[str, ...]) -> Any:
        return next((getattr(config, name) for name in names if hasattr(config, name)), None)

    found = {
        "layers": first(LAYERS),
        "hidden": first(WIDTHS),
        "patch": getattr(config, "patch_size", None),
    }
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _adapters(
    offer: Architecture, config: Any, checkpoint: Checkpoint, kinds: Mapping[str, MediaProcessor]
) -> dict[str, str]:
    """Names of the checkpoint's own adapters, by what they are for."""
    from tramontane.media.processor import NAMES
    from tramontane.plugin import load

    if offer.adapters is None:
        return {}
    there, first = load(offer.adapters)(config, checkpoint), next(iter(kinds.values()))
    found = {}
    for some in [(kind,) for kind in kinds] + ([tuple(kinds)] if len(kinds) > 1 else []):
        name = first.adapter(some)
        if name is not None and name in there:
            found[" and ".join(NAMES[kind] for kind in some)] = name
    return found


def _projectors(model: Any) -> dict[str, dict[str, list[int]]]:
    """Shapes of the matrices of what stands between an encoder and the language model."""
    from tramontane.checkpoint.weight_map import slots

    found: dict[str, dict[str, list[int]]] = {}
    for name, slot in slots(model).items():
        parts = name.split(".")
        at = next((i for i, part in enumerate(parts) if part.endswith(PROJECTORS)), None)
        if at is not None and len(slot.shape) == 2:
            matrices = found.setdefault(".".join(parts[: at + 1]), {})
            matrices[".".join(parts[at + 1 :])] = list(slot.shape)
    return found


def rows_of_media(media: Mapping[str, Any]) -> dict[str, str]:
    """The same as lines of text, by their titles."""
    if "problem" in media:
        return {"media": str(media["problem"])}
    found = {}
    for name, encoder in media.get("encoders", {}).items():
        said = [f"{encoder['layers']} layers"] if "layers" in encoder else []
        said += [f"{encoder['hidden']} wide"] if "hidden" in encoder else []
        said += (
            [f"patches of {encoder['patch']} x {encoder['patch']}"] if "patch" in encoder else []
        )
        found["encoder" if name == CONFIGS[0] else "encoder of sounds"] = ", ".join(said)
    for name, matrices in media.get("projectors", {}).items():
        shapes = ", ".join(f"{rows} x {columns}" for rows, columns in matrices.values())
        found["projector"] = "; ".join(filter(None, (found.get("projector"), f"{name} ({shapes})")))
    if adapters := media.get("adapters"):
        found["own adapters"] = ", ".join(f"{kind}: {name}" for kind, name in adapters.items())
    for kind, examples in media.get("tokens", {}).items():
        counts = ", ".join(f"{name}: {count}" for name, count in examples.items())
        found[f"tokens of {ONE[kind]}"] = counts
    return found
