"""Tramontane runs language models: a small core, and everything else a plugin.

`LLM`, `AsyncLLM`, `SamplingParams` and the results are imported when first asked for, so that
`import tramontane` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import TramontaneError
from .system.gc_pause import gc_paused
from .version import __version__

if TYPE_CHECKING:
    from .async_llm import AsyncLLM
    from .llm import LLM
    from .results import Chunk, Completion
    from .sampling_params import SamplingParams
    from .verifying.result import Verification
    from .verifying.verify import verify

__all__ = [
    "LLM",
    "AsyncLLM",
    "Chunk",
    "Completion",
    "SamplingParams",
    "TramontaneError",
    "Verification",
    "__version__",
    "verify",
]

_HOME = {
    "LLM": ".llm",
    "AsyncLLM": ".async_llm",
    "Chunk": ".results",
    "Completion": ".results",
    "SamplingParams": ".sampling_params",
    "Verification": ".verifying.result",
    "verify": ".verifying.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with gc_paused():
        return getattr(import_module(_HOME[name], __name__), name)
