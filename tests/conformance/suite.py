"""The suite itself: npm fetches it into the virtual environment, Node.js runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.1.16"
PACKAGE = f"@modelcontextprotocol/conformance@{VERSION}"
NODE = 22
"""The oldest Node.js that runs it; where there is an older one, npm brings this beside it."""


class CannotRun(Exception):
    """What is missing, and how to get it."""


@dataclass(frozen=True)
class Outcome:
    """Of one scenario."""

    side: str
    scenario: str
    passed: int
    failed: tuple[str, ...]


class Suite:
    """Installed in `folder`, once. Raises CannotRun."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "node_modules" / ".bin"
        if not (shutil.which("node") and shutil.which("npm")):
            raise CannotRun(
                f"the suite is an npm package: install Node.js {NODE} or newer with npm (from your "
                "system's packages or nodejs.org), so that `node` and `npm` are found"
            )
        if not (folder / f"has-{VERSION}").exists():
            self._install(folder)

    def _install(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        packages = [PACKAGE] if _node_version() >= NODE else [PACKAGE, f"node@{NODE}"]
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f"npm cannot install {PACKAGE}:\n{done.stderr.strip()}")
        (folder / f"has-{VERSION}").touch()

    def scenarios(self, side: str) -> list[str]:
        """Their names, of the "client" or the "server" side."""
        lines = self._run("list").splitlines()
        start = next(i for i, line in enumerate(lines) if line.lower().startswith(f"{side} scen"))
        names = []
        for line in lines[start + 1 :]:
            if (found := re.match(r"\s+- (\S+)", line)) is None:
                break
            names.append(found[1])
        return names

    def client(self, scenario: str, command: str, folder: Path) -> Outcome:
        """Let the suite start a client, and look at what it does."""
        self._run("client", "--command", command, "--scenario", scenario, "-o", str(folder))
        return outcome("client", scenario, folder)

    def server(self, scenario: str, url: str, folder: Path) -> Outcome:
        """Ask a server that listens at a URL."""
        self._run("server", "--url", url, "--scenario", scenario, "-o", str(folder))
        return outcome("server", scenario, folder)

    def _run(self, *arguments: str) -> str:
        own = self._bin / "node"
        node = str(own) if own.exists() else "node"
        command = [node, str(self._bin / "conformance"), *arguments]
        # a scenario that fails is in what it wrote
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def outcome(side: str, scenario: str, folder: Path) -> Outcome:
    """What the suite wrote of a scenario; that it wrote nothing is a failure."""
    checks = [check for path in folder.rglob("checks.json") for check in _checks(path)]
    failed = tuple(said for status, said in checks if status == "FAILURE")
    if not list(folder.rglob("checks.json")):
        failed = ("the suite wrote no checks",)
    return Outcome(side, scenario, sum(status == "SUCCESS" for status, _ in checks), failed)


def _checks(path: Path) -> Iterator[tuple[str, str]]:
    for check in json.loads(path.read_text("utf-8")):
        said = check.get("errorMessage") or check["description"]
        yield check["status"], f"{check['id']}: {' '.join(said.split())}"


def _node_version() -> int:
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", said)
    return int(found[1]) if found else 0
