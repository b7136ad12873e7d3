"""The first files of a plugin of any kind but an architecture: a small one that works."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

from tramontane.errors import RequestError
from tramontane.registry import known
from tramontane.version import __version__

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "@dist@"
version = "0.1.0"
description = "@about@"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["tramontane-core~=@version@"@more@]

[project.entry-points."tramontane.@group@"]
@name@ = "@package@.plugin"
@flags@
[tool.hatch.build.targets.wheel]
packages = ["src/@package@"]
"""
README = """\
# @dist@

@about@

    pip install -e .
    python -m pytest tests
    python -m pytest --tramontane @dist@

How to go on: `docs/@page@` of Tramontane.
"""


@dataclass(frozen=True)
class Kind:
    """What differs between kinds. part: of the distribution's name."""

    part: str
    group: str
    page: str
    about: str
    requires: tuple[str, ...] = ()


KINDS = {
    "quantizer": Kind(
        "quant", "quantizers", "writing-a-quantizer.md", "The checkpoint format @name@.",
        ("torch>=2.6", "safetensors>=0.5"),
    ),
    "backend": Kind(
        "backend", "backends", "writing-a-backend.md", "The device @name@.", ("torch>=2.6",)
    ),
    "sampler": Kind("plugin", "samplers", "writing-a-sampler.md", "The sampler @name@."),
    "tool-caller": Kind(
        "plugin", "tool_callers", "writing-a-tool-caller.md", "Tool calls in the syntax @name@."
    ),
    "mcp-client": Kind(
        "plugin", "mcp_clients", "writing-an-mcp-client.md", "MCP servers over @name@."
    ),
    "toolset": Kind("plugin", "toolsets", "writing-a-toolset.md", "The tools of @name@."),
    "adapter-form": Kind(
        "plugin", "adapters", "writing-an-adapter-form.md", "Adapters in @name@ files.",
        ("torch>=2.6", "safetensors>=0.5"),
    ),
    "drafter": Kind("plugin", "drafters", "writing-a-drafter.md", "The drafter @name@."),
    "interconnect": Kind(
        "plugin", "interconnects", "writing-an-interconnect.md", "The interconnect @name@.",
        ("torch>=2.6",),
    ),
    "command": Kind("plugin", "commands", "writing-a-command.md", "The command @name@."),
    "page": Kind("plugin", "pages", "writing-a-page.md", "The page @name@."),
    "model": Kind(
        "model", "models", "writing-a-model.md", "The model @name@."
    ),
}  # fmt: skip


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """A distribution's files by their paths below its folder. kind: one of KINDS.

    Raises RequestError for a name that cannot be.
    """
    if not NAME.fullmatch(name):
        raise RequestError(
            f"{name!r} is no name for a plugin: small letters, digits and single hyphens between "
            "them, a letter first"
        )
    about = KINDS[kind]
    dist = f"tramontane-{about.part}-{name}"
    text = files("tramontane.scaffold").joinpath("templates", f"{kind}.txt").read_text("utf-8")
    # the families whose names the template uses
    families = {family for name, family in known("architectures").items() if f'"{name}"' in text}
    requires = "".join(f', "{each}"' for each in about.requires) + "".join(
        f', "{family}~={__version__}"' for family in sorted(families)
    )
    flags = f'\n[project.entry-points."tramontane.sampler_flags"]\n{name} = "@package@.plugin"\n'
    words = {
        "flags": flags if kind == "sampler" else "",
        "more": requires,
        "about": about.about,
        "group": about.group,
        "page": about.page,
        "dist": dist,
        "package": dist.replace("-", "_"),
        "module": name.replace("-", "_"),
        "title": name[0].upper() + name[1:],
        "version": __version__,
        "name": name,
    }
    package = words["package"]
    made = {
        "pyproject.toml": PROJECT,
        "README.md": README,
        f"src/{package}/__init__.py": '"""@about@"""\n',
    }
    for part in text.split("=== ")[1:]:
        path, _, content = part.partition("\n")
        made[path] = content
    return {_filled(path, words): _filled(content, words) for path, content in made.items()}


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
