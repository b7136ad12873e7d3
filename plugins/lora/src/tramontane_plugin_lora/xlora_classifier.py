"""The classifier's tensors, wherever they are in a folder, and under whichever names.

peft's own file lacks the first layer's, or all of them: it takes ".0" for the name of the adapter
"0", cuts it out, and puts the tensors into that adapter's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor
from tramontane.adapters.classifier import Classifier
from tramontane.checkpoint.safetensors_file import SafetensorsFile
from tramontane.errors import AdapterError

from .peft import FILES, tensors_of
from .xlora_config import XLoraConfig

FILE = "xlora_classifier.safetensors"
PEFT = re.compile(
    r"(.*\.)?internal_xlora_classifier\.layers(\.(?P<at>\d{1,4}))?\.(?P<part>weight|bias)"
)
OLD = re.compile(r"(.*\.)?(inner\.(?P<at>\d{1,4})|last)\.(?P<part>weight|bias)")
BEHIND = 10_000
"""The place of the last layer, behind all that are numbered."""


def read_classifier(folder: Path, config: XLoraConfig, adapters: int) -> Classifier:
    """adapters: how many it chooses among. Raises AdapterError, CheckpointError."""
    found: dict[tuple[int, str], Tensor] = {}
    for path, clipped in _files(folder):
        for name, tensor in tensors_of(path, _is_of_classifier).items():
            for key in _places(name, clipped):
                found.setdefault(key, tensor)
    places = sorted({place for place, _ in found})
    if not places:
        raise AdapterError(
            f"{folder} has no classifier: neither {FILE} nor another file of it has tensors "
            f"*.internal_xlora_classifier.layers.N.weight, or inner.N.weight and last.weight. "
            f"peft loses them when it saves: write the trained model's own into {FILE}"
        )
    if len(places) != config.depth:
        raise AdapterError(
            f"{folder}: the classifier has {len(places)} layers, and xlora_depth of {config.path} "
            f"is {config.depth}"
        )
    weights, biases = [], []
    for number, place in enumerate(places):
        weight, bias = found.get((place, "weight")), found.get((place, "bias"))
        if weight is None or (bias is None) == config.bias:
            lacks = "no weight" if weight is None else "no bias" if config.bias else "a bias"
            raise AdapterError(
                f"{folder}: layer {number} of the classifier has {lacks}; use_bias of "
                f"{config.path.name} is {str(config.bias).lower()}"
            )
        weights.append(weight)
        biases.append(bias)
    try:
        made = Classifier(
            tuple(weights), tuple(biases), adapters, relu=config.relu, softmax=config.softmax,
            temperature=config.temperature, top_k=config.top_k, softmax_kept=config.softmax_kept,
        )  # fmt: skip
    except AdapterError as error:
        raise AdapterError(f"{folder}: {error}") from error
    if made.hidden != config.hidden:
        raise AdapterError(
            f"{folder}: the classifier reads {made.hidden} numbers, and hidden_size of "
            f"{config.path.name} is {config.hidden}"
        )
    if made.layers > 1 and not config.layerwise:
        raise AdapterError(
            f"{folder}: the classifier gives {weights[-1].shape[0]} numbers for {adapters} "
            f"adapters, and layerwise_scalings of {config.path.name} is false"
        )
    if config.top_k is not None and config.top_k > adapters:
        raise AdapterError(
            f"{config.path}: top_k_lora {config.top_k} is more than the {adapters} adapters"
        )
    return made


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Files that may have parts of it, and which number is cut out of names in each."""
    for name in (FILE, *FILES):
        if (folder / name).exists():
            yield folder / name, 0
    for sub in sorted(each for each in folder.iterdir() if each.name.isdecimal()):
        if (sub / FILES[0]).exists():
            yield sub / FILES[0], int(sub.name)


def _is_of_classifier(name: str) -> bool:
    return bool(PEFT.fullmatch(name) or OLD.fullmatch(name))


def _places(name: str, clipped: int) -> Iterator[tuple[int, str]]:
    if match := PEFT.fullmatch(name):
        yield (clipped if match["at"] is None else int(match["at"])), match["part"]
    elif match := OLD.fullmatch(name):
        yield (BEHIND if match["at"] is None else int(match["at"])), match["part"]


def is_mixed_up(folder: Path) -> bool:
    """Whether a folder has no adapter of its own, but parts of several, as peft saves an X-LoRA."""
    path = folder / FILES[0]
    if not path.exists():
        return False
    file = SafetensorsFile(path)
    try:
        return any(name.startswith("base_model.lora_model.") for name in file.infos())
    finally:
        file.close()
