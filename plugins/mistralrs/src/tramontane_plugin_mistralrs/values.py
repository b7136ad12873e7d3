"""Values of their options as values of ours. Each raises UsageError for one that cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError

KINDS = {
    **{f"Q{n}": f"q{n.lower()}" for n in ("4_0", "4_1", "5_0", "5_1", "8_0")},
    **{f"Q{n}K": f"q{n}_k" for n in "23456"},
    "HQQ4": "hqq4", "HQQ8": "hqq8", "FP8": "fp8", "MXFP4": "mxfp4",
    **{f"AFQ{n}": f"afq{n}" for n in "23468"},
}  # fmt: skip
"""Their names of quantized types, and ours."""
NO_KINDS = {
    "Q8_1": "a format of activations, not of weights: use Q8_0",
    "Q8K": "a format of activations, not of weights: use Q8_0",
    "F8Q8": "an 8-bit float format of their processor kernels: use FP8 or Q8_0",
}
"""Those that nothing here makes."""
LEVELS = ("2", "3", "4", "5", "6", "8")


def isq_kind(text: str) -> str:
    """A number of bits, or a type, as --isq takes it."""
    name = text.strip().upper()
    if name in LEVELS:
        return name
    if name in NO_KINDS:
        raise UsageError(f"--isq {text}: {NO_KINDS[name]}")
    found = KINDS.get(name) or KINDS.get(re.sub(r"^Q(\d)_K$", r"Q\1K", name))
    if found is None:
        raise UsageError(f"--isq {text}: must be {', '.join((*LEVELS, *KINDS))}")
    return found


def level(text: str) -> str:
    """The value of --quant: auto, or a number of bits."""
    if text.lower() != "auto" and text not in LEVELS:
        raise UsageError(f"--quant {text}: must be auto or one of {', '.join(LEVELS)}")
    return text.lower()


def dtype(text: str) -> str:
    """A type of activations; theirs are the same, in any case."""
    if text.lower() not in ("auto", "bf16", "f16", "f32"):
        raise UsageError(f"--dtype {text}: must be auto, bf16, f16 or f32")
    return text.lower()


def organization(text: str) -> str:
    """Which weights are quantized."""
    if text.lower() not in ("default", "moqe"):
        raise UsageError(f"--isq-organization {text}: must be default or moqe")
    return text.lower()


def number(name: str, text: str, least: int = 0) -> int:
    """A whole number of at least `least`."""
    if not text.strip().isdecimal() or int(text) < least:
        raise UsageError(f"{name} {text}: not a whole number of at least {least}")
    return int(text)


def layers(text: str) -> dict[str, str]:
    """Layers on devices: one number, or DEVICE:LAYERS;DEVICE:LAYERS."""
    if text.strip().isdecimal():
        return {"gpu_layers": text.strip()}
    if not re.fullmatch(r"\d+:\d+(;\d+:\d+)*", text):
        raise UsageError(f"--num-device-layers {text}: as 10, or DEVICE:LAYERS;... as 0:16;1:16")
    return {"device_map": text}


def prefix_cache(text: str) -> dict[str, Any]:
    """0 switches it off; any other number leaves it on."""
    return {} if number("--prefix-cache-n", text) else {"prefix_cache": False}


def megabytes(text: str) -> str:
    """A size of the cache."""
    return f"{number('the memory of the cache', text, 1)}MB"


def share(text: str) -> str:
    """A share of memory, 0 to 1, as a percentage."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise UsageError(f"a share of memory is above 0 and at most 1, not {text}")
    return f"{value * 100:g}%"


def cache_type(text: str) -> str:
    """The type of keys and values."""
    if text.lower() not in ("auto", "f8e4m3"):
        raise UsageError(f"--pa-cache-type {text}: must be auto or f8e4m3")
    return text.lower()


def on_cpu(_: Any) -> str:
    """A switch for the processor."""
    return "cpu"


def access_log(text: str) -> str:
    """text or json."""
    if text not in ("text", "json"):
        raise UsageError(f"--access-log-format {text}: must be text or json")
    return text


def dispatched(url: str) -> dict[str, Any]:
    """Calls of all tools of requests go to the address."""
    return {"tool_dispatch_url": url, "tool_dispatch_names": ["*"]}


def path(text: str) -> str:
    """A file that has to be there."""
    if not Path(text).expanduser().is_file():
        raise UsageError(f"there is no file {text}")
    return str(Path(text).expanduser())
