"""An architecture held against an independent implementation: the same random weights, the same
logits.

The other implementation makes a tiny model of the offer's `example`, gives it random weights and
saves it; Tramontane loads the folder. What is compared is a prompt at once, in chunks, and token by
token.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import NoReference as NoReference
from tramontane.plugin import Architecture, Offer
from tramontane.registry import Registry
from tramontane.verifying.transformers_model import model_class

from .forward_passes import in_pieces

LIMIT = 1e-4
"""Largest difference allowed, relative to the largest logit; all is computed in float32."""
LENGTH = 40
PIECES: tuple[list[int], ...] = ([LENGTH], [7, 20, *[1] * 13])
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")

O = TypeVar("O", bound=Offer)  # noqa: E741 - the offer type of a kind


class LogitsDiffer(AssertionError):
    """A model does not compute what the reference does."""


@dataclass(frozen=True)
class Comparison:
    """How far a model is from a reference. difference: the largest, relative to the largest logit.

    str: a line for a report.
    """

    architecture: str
    reference: str
    device: str
    difference: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        changed = "".join(f" {name}={value!r}" for name, value in self.settings.items())
        return (
            f"{self.architecture}{changed} on {self.device}: logits differ from those of "
            f"{self.reference} by {self.difference:.2g} of the largest"
        )


def compare(
    offer: Architecture | str,
    reference: str = "transformers",
    *,
    device: str = "reference",
    settings: Mapping[str, Any] | None = None,
) -> Comparison:
    """Compare logits; raises LogitsDiffer, an AssertionError, when they are not equal.

    offer: the record, or a name that an installed plugin offers. reference: "transformers", whose
    class is called as the offer is, or "transformers:Class". device: as `--device` has it.
    settings: fields of config.json beside and instead of those of `example`, such as
    {"tie_word_embeddings": True}. Raises NoReference, CheckpointError, PluginError.
    """
    if isinstance(offer, str):
        offer = Registry.from_environment().get(Architecture, offer)
    settings = dict(settings or {})
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other implementation; none of ours is looked for
        named, expected = saved_reference(offer, reference, settings, Path(folder))
        apart = logits_apart(offer, Path(folder), device, expected)
    found = Comparison(offer.name, named, device, float(apart.max()), settings)
    if not found.difference <= LIMIT:
        raise LogitsDiffer(f"{found}; {LIMIT:g} is allowed. {where_it_differs(apart)}")
    return found


def where_it_differs(apart: Tensor) -> str:
    """What the positions that differ say. apart: a share of the largest logit for each."""
    wrong = [place for place, share in enumerate(apart.tolist()) if not share <= LIMIT]
    if wrong[0] == 0:
        first = (
            f"Position 0 differs already ({apart[0]:.2g}), which neither rotation nor other tokens "
            "change: a norm, a weight, a scale or the wiring"
        )
    else:
        first = (
            f"Position 0 is equal; the first that differs is {wrong[0]}: what depends on positions "
            "or on other tokens, so the rotation, the scale of scores, or a window"
        )
    return f"{first}. {len(wrong)} of {len(apart)} positions differ, {int(apart.argmax())} most"


def reference_class(offer: Architecture, reference: str) -> tuple[Any, Any]:
    """The module and the class that a reference names. Raises NoReference."""
    package, _, named = reference.partition(":")
    if package != "transformers":
        raise NoReference(
            f"--reference {reference}: what can be compared with is transformers, or "
            "transformers:Class"
        )
    return model_class(named or offer.name, f"--reference {reference}")


def saved_reference(
    offer: Architecture, reference: str, settings: Mapping[str, Any], folder: Path
) -> tuple[str, Tensor]:
    """What the reference is called, and the logits of the model that it saved in a folder."""
    module, model_class = reference_class(offer, reference)
    called = f"{module.__name__} {module.__version__} {model_class.__name__}"
    # its own end tokens may lie beyond a tiny vocabulary
    values = {**dict.fromkeys(SPECIAL_IDS), **offer.example, **settings, "dtype": "float32"}
    torch.manual_seed(0)
    shown = module.utils.logging.is_progress_bar_enabled()
    module.utils.logging.disable_progress_bar()
    try:
        config = model_class.config_class(**values)
        theirs = model_class._from_config(config, attn_implementation="eager").eval()
        with torch.inference_mode():
            _randomize(theirs)
            expected = theirs(torch.tensor([prompt_of(offer)]), use_cache=False).logits[0]
        theirs.save_pretrained(folder)
    except Exception as error:
        raise NoReference(
            f"{called} cannot run the example of {offer.name}: {type(error).__name__}: {error}; "
            "example= needs every field in which the two differ in what they assume"
        ) from error
    finally:
        if shown:
            module.utils.logging.enable_progress_bar()
    path = folder / "config.json"
    written = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**written, "architectures": [offer.name]}), "utf-8")
    return called, expected


def _randomize(model: Any) -> None:
    """Random weights; norms, biases and corrections are not left at one and zero."""
    saved = model.state_dict().keys()
    buffers = [
        (name, each)
        for name, each in model.named_buffers()
        # of more dimensions are those that are made of sizes, such as masks and decays
        if name in saved and each.is_floating_point() and each.ndim < 2
    ]
    for name, parameter in [*model.named_parameters(), *buffers]:
        if "norm" in name or "ln_" in name or (parameter.ndim < 2 and name.endswith("weight")):
            parameter.add_(torch.randn_like(parameter) * 0.2)
        elif parameter.ndim < 2:
            parameter.normal_(0.0, 0.15)
        else:
            parameter.normal_(0.0, 1.5 * parameter.shape[-1] ** -0.5)


def logits_apart(
    offer: Architecture,
    path: Path,
    device: str,
    expected: Tensor,
    config: Mapping[str, Any] | None = None,
) -> Tensor:
    """The largest difference of each position, as a share of the largest logit. config: what
    config.json would say, in place of the file's own."""
    registry = OneArchitecture(offer)
    checkpoint = open_checkpoint(path, registry)
    if config is not None:
        header = replace(checkpoint.header, architecture=offer.name, config=config, metadata={})
        vars(checkpoint)["header"] = header
    try:
        options = LoadOptions(
            device=device, dtype="f32", kv_type="f32", activations="f32", num_ctx=LENGTH
        )
        loaded = load_model(checkpoint, registry, options)
        where = torch.device(loaded.device.torch_device)
        found = [in_pieces(loaded.model, prompt_of(offer), p, where).cpu() for p in PIECES]
    finally:
        checkpoint.close()
    apart = torch.stack([(logits - expected).abs().amax(-1) for logits in found]).amax(0)
    return apart / expected.abs().max()


def prompt_of(offer: Architecture) -> list[int]:
    """Random tokens; the same every time."""
    random = torch.Generator().manual_seed(1)
    return torch.randint(int(offer.example["vocab_size"]), (LENGTH,), generator=random).tolist()


class OneArchitecture(Registry):
    """The installed plugins, and one architecture that need not be."""

    def __init__(self, offer: Architecture) -> None:
        super().__init__()
        self._offer = offer

    def get(self, record: type[O], name: str) -> O:
        if record is Architecture and name in (self._offer.name, *self._offer.aliases):
            return cast("O", self._offer)
        return super().get(record, name)
