"""`--sampler`: from the configuration of llm's samplers to a chain of ours.

    NAME:OPTION=VALUE:OPTION=VALUE     several, separated by white space or "/"

Case, `-` and `_` of names do not matter, options may be cut short, and the first one may be given
without its name. Whatever the order in the text, samplers run in the order below; repetition,
top_k, top_p and temperature run if they are not named too, with Mirostat only the first and last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tramontane.errors import UsageError

from .cli.main import plain


@dataclass(frozen=True)
class Known:
    """ours: the name of our sampler. options: by their names, ours and the default. fixed: options
    that have one value. several: whether it may be there more than once."""

    ours: str
    options: dict[str, tuple[str, float]] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    several: bool = False


def _same(**defaults: float) -> dict[str, tuple[str, float]]:
    return {name: (name, default) for name, default in defaults.items()}


ONE = {"min_keep": 1.0}
SAMPLERS = {
    "repetition": Known("repetition", _same(penalty=1.3, last_n=64), several=True),
    "freqpresence": Known(
        "frequency_presence",
        {
            "frequency_penalty": ("frequency", 0.0),
            "presence_penalty": ("presence", 0.0),
            "last_n": ("last_n", 64),
        },
        several=True,
    ),
    "seqrepetition": Known(
        "seq_repetition",
        _same(
            flat_penalty=0.0, stacking_penalty=0.0, min_length=4, tolerance=0, max_merge=1,
            last_n=64,
        ),
        several=True,
    ),
    "topk": Known("top_k", _same(k=40, min_keep=1)),
    "tailfree": Known("tail_free", _same(z=1.0), ONE),
    "locallytypical": Known("typical", _same(p=1.0), ONE),
    "topp": Known("top_p", _same(p=0.95), ONE),
    "topa": Known("top_a", _same(a1=0.0, a2=0.0), ONE),
    "minp": Known("min_p", _same(p=0.0), ONE),
    "temperature": Known("temperature", {"temperature": ("t", 0.8)}),
    "greedy": Known("greedy"),
    "mirostat1": Known("mirostat1", _same(eta=0.1, tau=5.0)),
    "mirostat2": Known("mirostat2", _same(eta=0.1, tau=5.0)),
}  # fmt: skip
"""In the order in which they run."""
USUAL = ("repetition", "topk", "topp", "temperature")
FREE_CHOICE = ("topk", "topp", "topa", "minp", "locallytypical", "tailfree")
"""What Mirostat excludes, as it finds by itself how many tokens to keep."""
WHOLE = {"last_n", "min_length", "tolerance", "max_merge", "k", "min_keep"}


def chain_of(texts: Sequence[str]) -> str:
    """The chain that `SamplingParams.sampler` takes. texts: of each --sampler.

    Raises UsageError for an unknown sampler or option, a value that cannot be, and samplers that
    exclude each other.
    """
    entries: dict[str, list[dict[str, float]]] = {name: [] for name in SAMPLERS}
    for entry in re.split(r"[/\s]+", "/".join(texts)):
        if entry.strip(":"):
            name, options = _entry(entry)
            if not SAMPLERS[name].several:
                entries[name].clear()  # the last one counts
            entries[name].append(options)
    mirostat = [name for name in ("mirostat1", "mirostat2") if entries[name]]
    if len(mirostat) > 1:
        raise UsageError("--sampler: mirostat1 and mirostat2 exclude each other; keep one")
    if mirostat and (others := [name for name in FREE_CHOICE if entries[name]]):
        raise UsageError(
            f"--sampler: {mirostat[0]} finds by itself how many tokens to keep, so it excludes "
            f"{', '.join(SAMPLERS[name].ours for name in others)}"
        )
    for name in USUAL:
        if not entries[name] and not (mirostat and name in FREE_CHOICE):
            entries[name].append({})
    return "/".join(
        _written(SAMPLERS[name], options) for name, all_ in entries.items() for options in all_
    )


def _written(known: Known, given: dict[str, float]) -> str:
    parts = [known.ours]
    for name, (ours, default) in known.options.items():
        value = given.get(name, default)
        parts.append(f"{ours}={int(value) if name in WHOLE else value}")
    return ":".join(parts)


def _entry(entry: str) -> tuple[str, dict[str, float]]:
    name, *parts = entry.split(":")
    known = SAMPLERS.get(called := plain(name))
    if known is None:
        raise UsageError(f"--sampler {entry}: there is no sampler {name!r}; {_listed()}")
    given: dict[str, float] = {}
    names = [*known.options, *known.fixed]
    if called.startswith("mirostat"):
        names.append("mu")
    for place, part in enumerate(parts):
        if not part:
            continue
        key, equals, text = part.partition("=")
        if not equals:
            if place or not names:
                raise UsageError(f"--sampler {entry}: {part!r} must be option=value")
            key, text = names[0], part
        option = _option(key.strip().lower().replace("-", "_"), names, entry)
        given[option] = _number(option, text, entry)
    for option, value in known.fixed.items():
        if given.pop(option, value) != value:
            raise UsageError(f"--sampler {entry}: {option} can only be {value:g} here")
    _check_mu(given, entry)
    return called, given


def _check_mu(given: dict[str, float], entry: str) -> None:
    """Mirostat's state begins with twice the target."""
    begin = 2 * given.get("tau", 5.0)
    if given.pop("mu", begin) != begin:
        raise UsageError(f"--sampler {entry}: mu begins with 2 tau, {begin:g}; leave it out")


def _option(key: str, names: list[str], entry: str) -> str:
    if key in names:
        return key
    match [name for name in names if key and name.startswith(key)]:
        case [name]:
            return name
        case []:
            listed = ", ".join(names) or "none"
            raise UsageError(f"--sampler {entry}: there is no option {key!r}; options: {listed}")
        case several:
            raise UsageError(f"--sampler {entry}: {key!r} may mean {' or '.join(several)}")


def _number(option: str, text: str, entry: str) -> float:
    try:
        value = int(text) if option in WHOLE else float(text)
    except ValueError:
        kind = "a whole number" if option in WHOLE else "a number"
        raise UsageError(f"--sampler {entry}: {option}={text!r} must be {kind}") from None
    if not -1e9 < value < 1e9:
        raise UsageError(f"--sampler {entry}: {option}={text!r} is out of range")
    return value


def _listed() -> str:
    return f"samplers: {', '.join(SAMPLERS)}"
