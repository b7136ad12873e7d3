"""`mistralrs serve` and `run`: search, code and commands that a model may run."""

from __future__ import annotations

from tramontane_plugin_mistralrs.option import Meant, Option, Own, Refused, To

from .shared import SEARCH, SEARCH_MODEL

AGENT = (
    Option(("--agent", "--agentic"), Own("`--tools search,python,shell`")),
    Option(("--enable-search",), SEARCH),
    Option(("--search-embedding-model",), SEARCH_MODEL, "MODEL", "embedding-gemma"),
    Option(("--enable-code-execution",), Own("`--tools python`, of tramontane-plugin-sandbox")),
    Option(("--enable-shell",), Own("`--tools shell`, of tramontane-plugin-sandbox")),
    Option(
        ("--code-exec-python",),
        Refused("code runs with the Python of Tramontane and its packages: leave it out"),
        "FILE", "python3",
    ),
    Option(
        ("--code-exec-timeout",), Own("`--tool-option python.seconds=N`"), "SECONDS", "60"
    ),
    Option(
        ("--code-exec-workdir",),
        Refused(
            "code runs in its conversation's own folder; tramontane's --tool-option "
            "python.read=DIR lets it read another one"
        ),
        "DIR", "work",
    ),
    Option(
        ("--shell-path",),
        Meant("commands run by bash, or sh where there is none", ("/bin/sh", "/bin/bash")),
        "FILE", "/bin/sh",
    ),
    Option(
        ("--shell-timeout",), Own("`--tool-option shell.seconds=N`; 600 without it"), "SECONDS",
        "600",
    ),
    Option(
        ("--shell-workdir",),
        {
            "serve": To("tool_folder"),
            "": Refused("a chat's files are in a folder of the user's cache: leave it out"),
        },
        "DIR", "work",
    ),
    Option(
        ("--skills-dir",),
        Refused(
            "it holds skills that clients upload, which they cannot here; tramontane's --tools "
            "skills --tool-option skills.folder=DIR reads a folder of skills"
        ),
        "DIR", "skills",
    ),
    Option(
        ("--agent-permission", "--code-exec-permission"),
        Own("`--approvals`; auto where tools are on and it is not given, as there"),
        "MODE", "ask",
    ),
)  # fmt: skip
SANDBOX = (
    Option(
        ("--sandbox",),
        Own(
            "auto and on: code and commands run in a sandbox or not at all; off: `--tool-option "
            "python.sandbox=off`, and `shell.sandbox=off`"
        ),
        "MODE", "off",
    ),
    Option(
        ("--sandbox-profile",),
        Own("restricted: no network, as without it; developer: as `--sandbox-network full`"),
        "PROFILE", "developer",
    ),
    Option(
        ("--sb-max-memory-mb",), Own("`--tool-option python.memory=N`, and shell's"), "MB", "2048"
    ),
    Option(
        ("--sb-max-cpu-secs",), Own("`--tool-option python.cpu=N`, and shell's"), "SECONDS", "600"
    ),
    Option(
        ("--sb-max-procs",), Own("`--tool-option python.processes=N`, and shell's"), "N", "64"
    ),
    Option(
        ("--sandbox-network",),
        Own(
            "none and loopback: a localhost of its own and no network; full: `--tool-option "
            "python.network=true`, and shell's"
        ),
        "MODE", "full",
    ),
)  # fmt: skip
