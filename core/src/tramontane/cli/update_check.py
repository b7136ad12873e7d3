"""`tramontane update-check`: ask pip's index for a newer version; nothing else asks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

from tramontane.errors import DownloadError

from .parser import Parser

SUMMARY = "Ask pip's package index whether there is a newer version. No other command ever asks."
SECONDS = 60.0


def run(argv: list[str]) -> int:
    """Print the installed version and the newest."""
    parser = Parser("tramontane update-check", description=SUMMARY)
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    options = parser.parse_args(argv)
    name = "tramontane" if _installed("tramontane") else "tramontane-core"
    have, newest = _installed(name) or "0", _newest(name)
    newer = Version(newest) > Version(have)
    if options.json:
        print(json.dumps({"name": name, "installed": have, "newest": newest, "newer": newer}))
    elif newer:
        print(f"{name} {newest} is there, and {have} installed: pip install --upgrade {name}")
    else:
        print(f"{name} {have} is the newest")
    return 0


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _newest(name: str) -> str:
    """The newest version in the index that pip is set to. Raises DownloadError."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "index",
        "versions",
        name,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"pip does not answer: {error}") from error
    if found := re.search(rf"^{re.escape(name)} \(([^)]+)\)", done.stdout, re.MULTILINE):
        return found[1]
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    why = errors[-1].removeprefix("ERROR:").strip() if errors else f"status {done.returncode}"
    raise DownloadError(f"pip does not say what the newest {name} is: {why}")
