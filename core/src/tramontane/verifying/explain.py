"""From numbers to a verdict, and what a difference most likely means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .result import LayerResult, LogitError, Part, PromptResult, Verdict, WeightResult, quoted

FACTOR = 0.02
"""How far a constant factor must be from 1 to be called one."""
SHOWN = 3
NEAR = 2
"""Positions between a window's end and the first difference that it explains."""


@dataclass(frozen=True)
class Evidence:
    """What was measured. chat: the chat template's text by ours and by theirs, where they differ.
    slopes: our embedding and our logits as multiples of theirs. config: the model's."""

    prompts: Sequence[PromptResult]
    layers: Sequence[LayerResult]
    weights: Sequence[WeightResult]
    part: Part | None
    made_up: Sequence[str]
    device: str
    against: str
    chat: tuple[str, str] | None = None
    slopes: tuple[float, float] | None = None
    config: Any = None


def explained(found: Evidence) -> tuple[Verdict, list[str]]:
    """The verdict, and sentences, the most important first."""
    words = _words(found)
    exact = any(prompt.exact.wrong for prompt in found.prompts)
    if exact or found.weights or found.made_up:
        verdict, said = _computation(found)
        return verdict, [*said, *words]
    if any(prompt.device.wrong for prompt in found.prompts):
        return "wrong", [_device(found), *words]
    if words:
        return "differs", words
    return "right", ["logits differ by no more than rounding explains, on every prompt"]


def _words(found: Evidence) -> list[str]:
    said = []
    differing = [p for p in found.prompts if p.tokens_differ is not None]
    if differing:
        prompt = differing[0]
        said.append(
            f"the tokenizers differ: {quoted(str(prompt.text))}, {prompt.tokens_differ}. Logits "
            "are compared on the tokens from here. Look at tokenizer.json, at added tokens, or at "
            "which tokens begin a text (add_bos_token)"
        )
    if found.chat is not None:
        mine, other = found.chat
        start = next(
            (i for i, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b),
            min(len(mine), len(other)),
        )
        said.append(
            f"the chat template gives another text from character {start} on: "
            f"{mine[start : start + 24]!r} here, {other[start : start + 24]!r} there"
        )
    return said


def _device(found: Evidence) -> str:
    worst = max(found.prompts, key=lambda p: p.device.error)
    return (
        f"computed exactly, the model is right; on {found.device} logits differ by "
        f"{worst.device.error:.2g}, and its rounding explains {worst.device.allowed:.2g}: a kernel "
        "of this device is wrong, or the device rounds more than it says"
    )


def _computation(found: Evidence) -> tuple[Verdict, list[str]]:
    said = list(found.made_up)
    first = next((layer for layer in found.layers if layer.jump), None)
    where = [] if found.weights else _positions(found)
    if first is not None:
        return "wrong", [*said, _jump(found, first), *where]
    if found.weights:
        return "wrong", [*said, _weights(found, found.weights)]
    if said:
        return "wrong", said
    if not found.layers:
        worst = _worst(found.prompts)
        verdict: Verdict = "differs" if worst.same >= 1 else "wrong"
        return verdict, [
            f"logits differ by {worst.error:.2g}, and rounding explains {worst.allowed:.2g}; "
            f"{found.against} shows no hidden states, so where they begin to differ is not known: "
            "compare with --against transformers or gguf:FILE",
            *where,
        ]
    worst = _worst(found.prompts)
    return "differs", [
        f"logits differ by {worst.error:.2g}, more than the {worst.allowed:.2g} that rounding "
        "explains, and no layer by itself does more than it may: the error grows from layer to "
        f"layer, as rounding does. The likeliest token is the same at {worst.same:.0%} of all",
        *where,
    ]


def _worst(prompts: Sequence[PromptResult]) -> LogitError:
    return max((p.exact for p in prompts if p.exact.wrong), key=lambda e: e.error)


def _jump(found: Evidence, first: LayerResult) -> str:
    own = f"by {first.own:.2g} of its size, {first.allowed:.2g} is allowed" if first.own else ""
    if first.name == "embedding":
        off = [w for w in found.weights if "embed" in w.path or "wte" in w.path]
        if off:
            return f"the embedding differs already, {own}: {_named(off)}"
        factor = _factor(found.slopes[0] if found.slopes else 1.0)
        return (
            f"the embedding differs already, {own}: {factor or 'the names of tensors'}, a scale of "
            "the embedding, or learned positions"
        )
    if first.name == "logits":
        off = [w for w in found.weights if ".layers." not in w.path]
        if off:
            return f"all layers are right, the logits differ, {own}: {_named(off)}"
        factor = _factor(found.slopes[1] if found.slopes else 1.0)
        return (
            f"all layers are right, the logits differ, {own}: "
            f"{factor or 'the last norm, lm_head or whether it is tied to the embedding'}, a scale "
            "or a cap of logits"
        )
    kind = f" ({first.kind})" if first.kind else ""
    count = sum(layer.jump for layer in found.layers)
    more = f", the first of {count} that do" if count > 1 else ""
    said = f"layer {first.name}{kind} computes something else, {own}{more}"
    inside = [w for w in found.weights if f"layers.{first.name}." in w.path]
    if inside:
        return f"{said}: {_named(inside)}"
    if found.part:
        path, after = found.part.path, found.part.after
        if after is None:
            return f"{said}: {path} is the first that differs, though it reads the same"
        return f"{said}: {after} is right, {path} is the first behind it that is not"
    if first.name == "0":
        return f"{said}: its weights are equal; the rotation (RoPE), a scale, or a norm"
    return f"{said}: the weights that both show are equal; a setting of this layer's kind"


def _weights(found: Evidence, off: Sequence[WeightResult]) -> str:
    return f"weights differ by more than their formats explain: {_named(off)}"


def _named(off: Sequence[WeightResult]) -> str:
    said = [
        f"{w.path} differs by {w.error:.2g} of its size ({w.allowed:.2g} is allowed)"
        + (f", being {w.ratio:.3g} times the other" if _constant(w) else "")
        for w in off[:SHOWN]
    ]
    more = f", and {len(off) - SHOWN} more" if len(off) > SHOWN else ""
    return ", ".join(said) + more


def _constant(weight: WeightResult) -> bool:
    """Whether the difference is a factor: |a - b| = |ratio - 1| |b|."""
    away = abs(weight.ratio - 1)
    return away > FACTOR and abs(weight.error - away) <= 0.05 * away + weight.allowed


def _factor(slope: float) -> str:
    return f"it is {slope:.4g} times theirs" if abs(slope - 1) > FACTOR else ""


def _positions(found: Evidence) -> list[str]:
    """What it says that only some positions, or some lengths, are wrong."""
    wrong = [p for p in found.prompts if p.exact.wrong]
    right = [p for p in found.prompts if not p.exact.wrong]
    if not wrong:
        return []
    starts = [p.exact.first for p in wrong if p.exact.first is not None]
    start, short = min(starts), max((p.tokens for p in right), default=0)
    if start == 0:
        return ["the first position differs already, which no rotation or window changes"]
    window = getattr(found.config, "sliding_window", None)
    if isinstance(window, int) and 0 <= start - window <= NEAR:
        return [f"positions before {start} are equal, and windows have {window}: the window"]
    trained = getattr(found.config, "original_max_position_embeddings", None)
    scaling = getattr(found.config, "rope_scaling", None)
    if short and all(p.tokens > short for p in wrong):
        cause = "the scaling of RoPE (rope_scaling)" if scaling or trained else "positions"
        return [
            f"prompts of up to {short} tokens are equal, longer ones differ from position {start} "
            f"on: a window, or {cause}"
        ]
    return [
        f"positions before {start} are equal: what depends on positions or on other tokens, so the "
        "rotation (RoPE), the scale of scores, a window, or a mask"
    ]
