"""What three computations of the same prompts say: theirs, ours exactly, and ours on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from tramontane.checkpoint.load import DTYPES, KV_DTYPES
from tramontane.checkpoint.load_options import LoadReport
from tramontane.system.devices import REFERENCE

from .explain import Evidence, explained
from .measure import SPREAD, judged, layer_results, logit_errors, state_error
from .ours import Ours, Rounding
from .reference import Reference, Subject, Theirs, Words
from .result import (
    LIMIT,
    LayerResult,
    Part,
    PromptResult,
    TokenDifference,
    Verification,
    WeightResult,
    quoted,
)
from .watch import Seen
from .weights import WeightError, weight_errors


@dataclass(frozen=True)
class Run:
    """A prompt. text: what it was made of, if that was a text."""

    prompt: list[int]
    text: str | None = None


@dataclass
class Compared:
    """parts: the prompt of which theirs has noted parts of layers. words: ours."""

    subject: Subject
    reference: Reference
    ours: Ours
    theirs: Theirs
    asked: Sequence[Run]
    on_device: Sequence[Tensor]
    report: LoadReport
    activations: str
    words: Words
    parts: int
    _strayed: list[str] = field(default_factory=list)

    def result(self) -> Verification:
        """Everything, and what it means."""
        prompts = [self._prompt(place) for place in range(len(self.asked))]
        differ = any(prompt.exact.wrong for prompt in prompts) or bool(self._wrong_weights)
        layers = self._layers(differ)
        first = next((layer for layer in layers if layer.jump), None)
        part = None if first is None else self._part(first, layers)
        weights = [WeightResult(w.path, w.error, w.allowed, w.ratio) for w in self._wrong_weights]
        device = f"{self.report.device} in {self.report.dtype}"
        evidence = Evidence(
            prompts, layers, weights, part, self.theirs.notes, device, self.reference.name,
            chat=self._chat(), config=self.subject.config, slopes=self._slopes(),
        )  # fmt: skip
        verdict, reasons = explained(evidence)
        notes = [*self._strayed]
        if not self._compares_words:
            why = self.words.why or self.theirs.words.why
            notes.append(f"token ids are not compared: {why}")
        return Verification(
            model=str(self.subject.path), against=self.reference.name, device=device,
            verdict=verdict, reasons=reasons, prompts=prompts, layers=layers, weights=weights,
            part=part, bound=self._bound(), notes=notes,
        )  # fmt: skip

    @cached_property
    def _free(self) -> list[Seen]:
        return [self.ours.run(run.prompt) for run in self.asked]

    @cached_property
    def _weights(self) -> list[WeightError]:
        mine = self.ours.weights()
        return weight_errors(mine, self.theirs.weights, one_file=self.reference.one_file)

    @property
    def _wrong_weights(self) -> list[WeightError]:
        """Of another file of the model; of the same file only layers that jump say which."""
        return [w for w in self._weights if w.wrong and not self.reference.one_file]

    def _weights_inside(self, layers: Sequence[LayerResult]) -> list[WeightError]:
        """Those that differ in layers that jump, and do not in layers that are right: families may
        keep a weight in a form of their own."""
        off = [(*_layer_and_rest(w.path), w) for w in self._weights if w.wrong]
        jump = {layer.name for layer in layers if layer.jump}
        right = {layer.name for layer in layers if layer.name.isdigit()} - jump
        unlike = {rest for name, rest, _ in off if name in right}
        return [w for name, rest, w in off if name in jump and right and rest not in unlike]

    @cached_property
    def _theirs_rounding(self) -> Rounding:
        off = {
            weight.path.removesuffix(".weight"): weight.error
            for weight in self._weights
            if 0 < weight.error <= weight.allowed and not self.reference.one_file
        }
        return replace(self.theirs.rounding, weights=off)

    @cached_property
    def _device_rounding(self) -> Rounding:
        activations = "f32" if self.report.device == REFERENCE else self.activations
        return Rounding(activations, DTYPES[self.report.dtype], KV_DTYPES[self.report.kv_dtype])

    def _prompt(self, place: int) -> PromptResult:
        run, mine, other = self.asked[place], self._free[place].logits, self.theirs.seen[place]
        noise = self._noise(place, self._theirs_rounding, [(mine, other.logits)])
        pairs = [(self.on_device[place], mine)]
        more = self._noise(place, self._device_rounding, pairs)
        return PromptResult(
            run.text,
            len(run.prompt),
            exact=judged(mine, other.logits, noise),
            device=judged(self.on_device[place], other.logits, noise + more),
            tokens_differ=self._tokens(run.text),
        )

    def _noise(
        self, place: int, rounding: Rounding, pairs: Sequence[tuple[Tensor, Tensor]]
    ) -> float:
        """What this rounding changes in a prompt's logits; not computed where nothing differs by
        more than sums in another order do."""
        if all(float(logit_errors(*pair).max()) <= LIMIT for pair in pairs):
            return 0.0
        noisy = self.ours.run(self.asked[place].prompt, rounding=rounding)
        return float(logit_errors(noisy.logits, self._free[place].logits).max())

    @cached_property
    def _fed(self) -> list[Seen]:
        return [
            self.ours.run(run.prompt, feed=other, parts=place == self.parts)
            for place, (run, other) in enumerate(zip(self.asked, self.theirs.seen, strict=True))
        ]

    def _layers(self, differ: bool) -> list[LayerResult]:
        if not any(seen.layers for seen in self.theirs.seen):
            return []
        noisy = []
        if differ or not self._theirs_rounding.exact:
            noisy = [
                self.ours.run(run.prompt, feed=other, rounding=self._theirs_rounding)
                for run, other in zip(self.asked, self.theirs.seen, strict=True)
            ]
        found = layer_results(self._free, self._fed, self.theirs.seen, noisy, self.ours.kinds())
        return found if differ else [replace(layer, jump=False) for layer in found]

    def _part(self, first: LayerResult, layers: Sequence[LayerResult]) -> Part | None:
        """The first part of a layer whose result differs, and does not in layers that are right:
        there it only has another form."""
        mine, other = self._fed[self.parts].parts, self.theirs.seen[self.parts].parts
        errors = {
            (str(index), path): error
            for (index, path), rows in other.items()
            if (error := state_error(mine.get((index, path)), rows)) is not None
        }
        right = {layer.name for layer in layers if not layer.jump}
        unlike = {path for (name, path), e in errors.items() if name in right and e > LIMIT}
        before = None
        for (name, path), error in errors.items():
            if name == first.name and path not in unlike:
                if not error <= first.allowed:
                    return Part(path, before)
                before = path
        return None

    @property
    def _compares_words(self) -> bool:
        return self.words.ids is not None and self.theirs.words.ids is not None

    def _tokens(self, text: str | None) -> TokenDifference | None:
        mine, other, filed = self.words.ids, self.theirs.words.ids, self.theirs.words.filed
        if text is None or mine is None or other is None:
            return None
        texts = [run.text for run in self.asked if run.text is not None]
        place = texts.index(text)
        found = self._first_difference(mine[place], other[place])
        if found is not None and filed is not None and filed[place] == mine[place]:
            self._strayed.append(
                f"token ids of {quoted(text)}: {found}; tokenizer.json gives what is here, and "
                f"this model's class in {self.reference.name.split()[0]} does not follow it"
            )
            return None
        return found

    def _first_difference(self, mine: list[int], other: list[int]) -> TokenDifference | None:
        if mine == other:
            return None
        pairs = zip(mine, other, strict=False)
        shorter = min(len(mine), len(other))
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), shorter)

        def shown(ids: list[int]) -> tuple[int | None, str]:
            if place >= len(ids):
                return None, "the end"
            return ids[place], self.words.text_of(ids[place])

        return TokenDifference(place, shown(mine), shown(other))

    def _chat(self) -> tuple[str, str] | None:
        """The chat as both write it, where they differ."""
        mine, other = self.words.chat, self.theirs.words.chat
        return None if mine is None or other is None or mine == other else (mine, other)

    def _slopes(self) -> tuple[float, float] | None:
        """What our embedding and logits are of theirs in the mean, for constant factors."""
        mine, other = self._fed[0] if self.theirs.seen[0].layers else None, self.theirs.seen[0]
        if mine is None or mine.embedded is None or other.embedded is None:
            return None
        if mine.embedded.shape != other.embedded.shape:
            return None
        return _slope(mine.embedded, other.embedded), _slope(mine.logits, other.logits)

    def _bound(self) -> str:
        """Where `allowed` comes from, in a sentence."""
        rounding, device, parts = self._theirs_rounding, self._device_rounding, []
        if rounding.dtype != torch.float32:
            parts.append(f"theirs in {_named(rounding.dtype)}")
        if rounding.activations != "f32":
            parts.append("activations that theirs rounds to 8 or 16 bits")
        if rounding.weights:
            parts.append(f"weights rounded by {max(rounding.weights.values()):.1%} at most")
        if not device.exact:
            names = dict.fromkeys((_named(device.dtype), f"{_named(device.kv_dtype)} KV cache"))
            packed = device.activations != "f32" and {*self.report.layouts} - {"float32"}
            eight = ", activations in 8 or 16 bits" if packed else ""
            parts.append(f"{self.report.device}: {', '.join(names)}{eight}")
        said = f" ({'; '.join(parts)})" if parts else ""
        return (
            f"allowed: {LIMIT:g} for sums in another order, and {SPREAD:g} times what rounding "
            f"changes here{said}"
        )


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _layer_and_rest(path: str) -> tuple[str, str]:
    """The layer's number and the path below it: "model.layers.3.mlp" is ("3", "mlp")."""
    words = path.split(".")
    place = next((i for i, word in enumerate(words) if word.isdigit()), None)
    return ("", path) if place is None else (words[place], ".".join(words[place + 1 :]))


def _slope(got: Tensor, expected: Tensor) -> float:
    size = float(expected.double().square().sum())
    return float((got.double() * expected.double()).sum()) / size if size else 1.0
