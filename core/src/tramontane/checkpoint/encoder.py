"""An encoder of images from a file of its own beside a language model's, as one checkpoint.

Which family the two make is said by the architectures' offers: `Architecture.encoders` names the
kinds of encoders, and `Architecture.encoder` reads the file's metadata. No kind is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tramontane.block_format import Stored
from tramontane.errors import CheckpointError, PluginBroken, TramontaneError
from tramontane.layouts import Layout
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.sanitize import one_line
from tramontane.target_call import call
from tramontane.tokenizer.tokenizer import Tokenizer

from .checkpoint import Checkpoint, HasToolTemplate, Header, ReadsStored


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """What `Architecture.encoder` reads. width: numbers of a row that the encoder gives, which the
    language model's hidden_size must be. config: fields of the family's configuration beside those
    of the language model, `vision_config` above all. processor: what `preprocessor_config.json`
    would say."""

    width: int
    config: Mapping[str, Any]
    processor: Mapping[str, Any] = field(default_factory=dict)


class WithEncoder:
    """A language model's checkpoint with the tensors of an encoder's. Implements `Checkpoint`,
    `ReadsStored`, `HasToolTemplate` and `HasProcessor`."""

    def __init__(
        self, text: Checkpoint, encoder: Checkpoint, name: str, settings: EncoderSettings
    ) -> None:
        """name: of the architecture that the two make. Raises CheckpointError."""
        ours, theirs = text.header, encoder.header
        if both := ours.tensors.keys() & theirs.tensors.keys():
            raise CheckpointError(
                f"{theirs.path}: {one_line(min(both))} is also a tensor of {ours.path}"
            )
        self._text, self._encoder, self._settings = text, encoder, settings
        self.names = text.names
        self.header = replace(
            ours,
            architecture=name,
            config={**ours.config, **settings.config},
            tensors={**ours.tensors, **theirs.tensors},
            metadata={**theirs.metadata, **ours.metadata},
            encoder=theirs.encoder,
            encoder_path=theirs.path,
        )

    def read(self, name: str) -> Layout:
        return self._owner(name).read(name)

    def stored(self, name: str) -> Stored | None:
        owner = self._owner(name)
        return owner.stored(name) if isinstance(owner, ReadsStored) else None

    def _owner(self, name: str) -> Checkpoint:
        return self._encoder if name in self._encoder.header.tensors else self._text

    def tokenizer(self) -> Tokenizer:
        return self._text.tokenizer()

    def chat_template(self) -> str | None:
        return self._text.chat_template()

    def tool_template(self) -> str | None:
        return self._text.tool_template() if isinstance(self._text, HasToolTemplate) else None

    def processor(self) -> Mapping[str, Any]:
        return self._settings.processor

    def generation_defaults(self) -> Mapping[str, Any]:
        return self._text.generation_defaults()

    def close(self) -> None:
        self._text.close()
        self._encoder.close()


def takes_encoder(header: Header, registry: Registry) -> bool:
    """Whether an installed family makes a model that sees of this language model and an encoder."""
    return any(
        header.architecture in texts
        for offer in registry.all(Architecture)
        for texts in offer.encoders.values()
    )


def with_encoder(text: Checkpoint, encoder: Checkpoint, registry: Registry) -> Checkpoint:
    """The two as one checkpoint, of the family that says that they are one. Reads no weight.

    Raises CheckpointError where they do not belong together, which names both.
    """
    ours, theirs = text.header, encoder.header
    kind, where = theirs.encoder or "", theirs.path
    offers = [offer for offer in registry.all(Architecture) if kind in offer.encoders]
    if not offers:
        known = sorted({each for o in registry.all(Architecture) for each in o.encoders})
        raise CheckpointError(
            f"{where}: an encoder of type {kind!r} is read by no installed model family; those of "
            f"types {', '.join(known) or '(none)'} are; without it the model takes text: "
            "--no-mmproj"
        )
    fitting = [offer for offer in offers if ours.architecture in offer.encoders[kind]]
    if not fitting:
        texts = sorted({text for offer in offers for text in offer.encoders[kind]})
        raise CheckpointError(
            f"{where}: an encoder of type {kind!r} goes with language models of type "
            f"{', '.join(texts)}, and {ours.path} is of type {ours.architecture!r}; take the file "
            "that was published with the model"
        )
    for offer in fitting:
        settings = _settings(offer, text, encoder)
        if settings is not None:
            hidden = ours.config.get("hidden_size")
            if settings.width != hidden:
                raise CheckpointError(
                    f"{where} is the encoder of another model: its rows have {settings.width} "
                    f"numbers, and {ours.path} has a hidden_size of {hidden}; take the file that "
                    "was published with the model"
                )
            return WithEncoder(text, encoder, offer.name, settings)
    raise CheckpointError(
        f"{where}: no installed family reads this encoder of type {kind!r}: "
        f"{', '.join(offer.name for offer in fitting)} do not"
    )


def _settings(offer: Architecture, text: Checkpoint, encoder: Checkpoint) -> EncoderSettings | None:
    header = encoder.header
    if offer.encoder is None:
        raise PluginBroken(f"the architecture {offer.name!r} names encoders, but reads none")
    given = {"metadata": header.metadata, "config": dict(text.header.config)}
    try:
        found = call(load(offer.encoder), given, tensors=header.tensors)
    except TramontaneError:
        raise
    except KeyError as error:
        raise CheckpointError(
            f"{header.path}: {error.args[0]!r} is missing, which an encoder of type "
            f"{header.encoder!r} has"
        ) from error
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{header.path}: {one_line(str(error), 300)}") from error
    if found is not None and not isinstance(found, EncoderSettings):
        raise PluginBroken(
            f"the architecture {offer.name!r}: encoder={offer.encoder!r} gives "
            f"{type(found).__name__}, not EncoderSettings"
        )
    return found


def refuse_encoder(header: Header) -> None:
    """Raise CheckpointError for an encoder's file where a model is wanted."""
    if header.encoder is not None and header.encoder_path is None:
        raise CheckpointError(
            f"{header.path} holds an encoder of images ({header.encoder}), no language model: give "
            f"it with one, --mmproj {Path(header.path).name}"
        )


def refuse_language_model(header: Header) -> None:
    """Raise CheckpointError for a model's file where an encoder is wanted."""
    if header.encoder is None:
        raise CheckpointError(
            f"{header.path} is a language model ({header.architecture}), no encoder of images: "
            "--mmproj takes the file that was published with the model, whose name has 'mmproj'"
        )
