"""Commands that other tools have: which of ours is meant, or why there is none."""

from __future__ import annotations

ALIASES = {
    "chat": "run",
    "ls": "list",
    "remove": "rm",
    "show": "inspect",
    "ppl": "perplexity",
    "completions": "completion",
}
"""Other names of our commands."""

HINTS = {
    "ps": "nothing runs in the background; a server shows its models at GET /v1/models",
    "stop": "nothing runs in the background; Ctrl-C stops `tramontane serve`",
    "generate": "to answer once: tramontane run MODEL -i TEXT",
    "complete": "to continue plain text: tramontane run MODEL --no-template -i TEXT",
    "server": "the server is: tramontane serve MODEL",
    "download": "to download a model: tramontane pull MODEL",
    "install": "models: tramontane pull MODEL; plugins: pip install tramontane-...",
    "delete": "to remove a download: tramontane rm MODEL",
    "convert": "models are run as they are; to write one in fewer bits: tramontane quantize",
    "requantize": "to write a model in fewer bits: tramontane quantize",
    "create": "a model's settings are options of run and serve; there are no model files to build",
    "benchmark": "the benchmark is: tramontane bench MODEL",
    "update": "to update: pip install --upgrade tramontane; to ask: tramontane update-check",
    "upgrade": "to update: pip install --upgrade tramontane; to ask: tramontane update-check",
    "settings": "what your file says is shown by: tramontane config",
}
"""For a command that does not exist, in a few words."""
