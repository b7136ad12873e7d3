"""The examples of docs/integrations.md, each run in its client's environment.

Those of packages of ours are run by this environment's Python, which has Tramontane, with the
client's packages behind its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/integrations.md"
EXAMPLE = re.compile(r"^```python client=(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:1234"
OURS: Mapping[str, tuple[str, str]] = {
    "llama_index_tramontane": (
        "llama-index", "integrations/llama-index-llms-tramontane/llama_index/llms"
    ),
    "llm_tramontane": ("main", "integrations/llm-tramontane"),
}  # fmt: skip
"""Packages of ours: the environment of what they belong to, and the folder of their modules."""
JOINED = """\
import sys
sys.path.append({site!r})
if {folder!r}.endswith("llms"):  # a namespace that both share
    import llama_index.llms
    llama_index.llms.__path__.append({folder!r})
else:
    sys.path.append({folder!r})
    import llm, llm.plugins, llm_tramontane
    llm.plugins.pm.register(llm_tramontane)
"""


def examples() -> dict[str, str]:
    """Code by the client's name."""
    return dict(EXAMPLE.findall(PAGE.read_text("utf-8")))


def why_not(name: str, code: str, python: Path, environments: Path, url: str) -> str:
    """Why an example does not work; empty where it does, and prints something."""
    if name in OURS:
        environment, folder = OURS[name]
        (site,) = (environments / environment).glob("lib/python*/site-packages")
        python = Path(sys.executable)
        code = JOINED.format(site=str(site), folder=str(ROOT / folder)) + code
    command = [str(python), "-c", code.replace(ADDRESS, url)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        return done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
    return "" if done.stdout.strip() else "it prints nothing"
