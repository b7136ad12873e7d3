"""`./dev clients`: what real clients can do with a server of ours that has the embedded model.

They are installed, in versions that tests/clients/requirements pins, into environments of their
own below .venv, and asked by nothing but a base URL.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.load.run import server

from .examples import OURS, examples, why_not

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/compatibility.md"
TITLE = "## Clients"
CLIENTS: Mapping[str, str] = {
    "openai": "main", "anthropic": "main", "llm": "main", "litellm": "main", "langchain": "main",
    "llama_index": "llama-index", "instructor": "instructor", "pydantic_ai": "main",
    "dspy": "main", "openai_agents": "main",
}  # fmt: skip
"""Each client's environment: some cannot share one, as they need other versions of `openai`."""
ABOUT = """\
Tried on {day} with the embedded model; only the client's base URL was set. To try again:
`./dev clients`. The model is a small one that tells stories. It follows tools and response formats,
which the server enforces; a form that a client only describes in its prompt it does not follow.
"""
REASONS: Mapping[str, str] = {
    "validation error": "the answer does not fit the schema, which is only in the prompt",
    "No tool calls in response": "the model calls no tool, as none is required",
    "Exceeded maximum output retries": "the answer does not fit the schema, which is only in the "
    "prompt",
    "OutputTokenLimitExceeded": "the answer reaches the token limit before it fits the schema, "
    "which is only in the prompt",
}
"""What a part of a client's error means."""


@dataclass(frozen=True)
class Outcome:
    """client: with versions. why: it does not work; empty where it does."""

    client: str
    feature: str
    why: str


def main() -> int:
    """Exit status 2 where an environment cannot be made, 1 where an example of the page does not
    work; a feature that fails is a finding."""
    parser = argparse.ArgumentParser("./dev clients", description=__doc__)
    parser.add_argument("--only", action="append", choices=CLIENTS, help="this one; repeatable")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path(sys.prefix) / "clients",
        metavar="FOLDER",
        help="where the clients are installed",
    )
    parser.add_argument(
        "--examples", action="store_true", help="only the examples of docs/integrations.md"
    )
    parser.add_argument("--verbose", action="store_true", help="tracebacks of what fails")
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{PAGE.name}")
    options = parser.parse_args()
    names = options.only or list(CLIENTS)
    try:
        pythons = {
            name: environment(name, options.environments)
            for name in sorted({CLIENTS[name] for name in names})
        }
    except subprocess.CalledProcessError as error:
        print(f"the clients cannot be installed: {error}", file=sys.stderr)
        return 2
    with server("--alias", "*") as (url, _):
        wrong = run_examples(names, pythons, url, options.environments)
        if options.examples:
            return bool(wrong)
        outcomes = [
            one for name in names for one in tried(name, pythons[CLIENTS[name]], url, options)
        ]
    print(section(outcomes))
    if options.write:
        before = PAGE.read_text().partition(TITLE)[0].rstrip()
        PAGE.write_text(f"{before}\n\n{section(outcomes)}\n")
    return bool(wrong)


def run_examples(
    names: Sequence[str], pythons: Mapping[str, Path], url: str, environments: Path
) -> list[str]:
    """Those of docs/integrations.md that do not work; a line for each."""
    wrong = []
    for name, code in examples().items():
        home = OURS[name][0] if name in OURS else CLIENTS[name]
        if home not in pythons or (name not in OURS and name not in names):
            continue
        why = why_not(name, code, pythons[home], environments, url)
        print(f"example {name}: {why or 'works'}", flush=True)
        wrong += [name] if why else []
    return wrong


def environment(name: str, folder: Path) -> Path:
    """The Python of an environment, made where it is not there as its requirements are now."""
    requirements = HERE / "requirements" / f"{name}.txt"
    home, stamp = folder / name, folder / name / "installed.txt"
    python = home / "bin/python"
    if not stamp.is_file() or stamp.read_text() != requirements.read_text():
        print(f"installing {requirements.name} ...", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True, clear=True)
        # the list is complete, so nothing has to be resolved
        command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", requirements]
        subprocess.run(command, check=True)
        stamp.write_text(requirements.read_text())
    return python


def tried(name: str, python: Path, url: str, options: argparse.Namespace) -> Iterator[Outcome]:
    """A client's features."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    command = [python, "-m", f"tests.clients.with_{name}", url]
    errors = None if options.verbose else subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:
        out, noise = process.communicate(timeout=1800)
    yield from outcomes_of(out.splitlines())
    if process.returncode:
        last = (noise or "").strip().rpartition("\n")[2]
        yield Outcome(name, "all that is not above", last or f"exit status {process.returncode}")


def outcomes_of(lines: Iterable[str]) -> Iterator[Outcome]:
    """What a client's script printed, without what the client itself did."""
    for line in lines:
        if line.startswith('{"client"'):
            yield Outcome(**json.loads(line))


def section(outcomes: Sequence[Outcome]) -> str:
    """The part of docs/compatibility.md."""
    works = sum(not one.why for one in outcomes)
    lines = [TITLE, "", ABOUT.format(day=date.today()), f"{works} of {len(outcomes)} work.", ""]
    return "\n".join([*lines, *table(outcomes)])


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """In Markdown: a client's features that work on one line, then each of the others."""
    lines = ["| client | works | does not work |", "|---|---|---|"]
    clients: dict[str, list[Outcome]] = {}
    for one in outcomes:
        clients.setdefault(one.client, []).append(one)
    for client, found in clients.items():
        good = "; ".join(one.feature for one in found if not one.why)
        bad = "<br>".join(f"{one.feature}: {in_words(one.why)}" for one in found if one.why)
        lines.append(f"| {client} | {good} | {bad} |")
    return lines


def in_words(error: str) -> str:
    """A client's error as a reader of the page understands it; --verbose shows the error."""
    for part, words in REASONS.items():
        if part in error:
            return words
    return f"the client raises {error.partition(':')[0]}"


if __name__ == "__main__":
    sys.exit(main())
