"""The part of a package's source that some of its names need, as one file."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tramontane.errors import PluginError

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass
class Module:
    """A source file: what it defines, in order, and where what it imports comes from."""

    lines: list[str]
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    """Name to module, "." before those of the package."""
    originals: dict[str, str] = field(default_factory=dict)
    """Names that imports give to others: `from .experts import WEIGHTS as EXPERTS`."""


def excerpt(targets: Iterable[str], renamed: Mapping[str, str]) -> str:
    """Definitions that targets ("package.module:name") need, with their imports, in one text.

    renamed: beginnings of names, and what they become. Raises PluginError when the source is not
    there.
    """
    modules: dict[str, Module] = {}
    seen: set[tuple[str, str, str]] = set()
    body: list[str] = []
    imports: dict[str, set[str]] = {}

    def need(module: str, name: str, called: str) -> None:
        if module not in modules:
            modules[module] = read(module)
        here = modules[module]
        if name in here.definitions:
            if (module, name, called) in seen:
                return
            seen.add((module, name, called))
            for node in ast.walk(here.definitions[name]):
                if isinstance(node, ast.Name):
                    need(module, node.id, node.id)
            # what it needs stands before it
            text = segment(here.lines, here.definitions[name])
            body.append(text if called == name else re.sub(rf"\b{name}\b", called, text))
        elif name in here.imports:
            source = here.imports[name]
            if source.startswith("."):
                original = here.originals.get(name, name)
                need(f"{module.rpartition('.')[0]}{source}", original, called)
            else:
                imports.setdefault(source, set()).add(name)

    for target in targets:
        module, _, name = target.partition(":")
        need(module, name, name)
    text = f"{importing(imports)}\n\n\n" + "\n\n\n".join(dict.fromkeys(body)) + "\n"
    for before, after in renamed.items():
        text = re.sub(rf"\b{before}(?=[A-Z0-9_]|\b)", after, text)
    return text


def read(module: str) -> Module:
    """A module's source, without importing it. Raises PluginError."""
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise PluginError(f"the source of {module} is not there to copy")
    text = Path(spec.origin).read_text("utf-8")
    found = Module(text.splitlines())
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            found.imports |= {alias.asname or alias.name: source for alias in node.names}
            found.originals |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.Import):
            found.imports |= {alias.name: "" for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.definitions[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                for name in names:
                    if isinstance(name, ast.Name):
                        found.definitions[name.id] = node
    return found


def segment(lines: list[str], node: Definition) -> str:
    """A definition as it is written, decorators included."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)])
    return "\n".join(lines[first - 1 : node.end_lineno])


def importing(imports: Mapping[str, set[str]]) -> str:
    """Import statements, the standard library's first."""
    lines: dict[bool, list[str]] = {True: [], False: []}
    for source in sorted(imports):
        names = sorted(imports[source], key=lambda name: (not name.isupper(), name))
        ours = source.partition(".")[0] in sys.stdlib_module_names
        if source == "":
            lines[names[0] in sys.stdlib_module_names] += [f"import {name}" for name in names]
            continue
        line = f"from {source} import {', '.join(names)}"
        if len(line) > 100:
            listed = "".join(f"    {name},\n" for name in names)
            line = f"from {source} import (\n{listed})"
        lines[ours].append(line)
    return "\n\n".join("\n".join(group) for group in lines.values() if group)
