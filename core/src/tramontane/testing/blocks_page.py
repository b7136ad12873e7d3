"""`python -m tramontane.testing.blocks_page docs/blocks.md`: write what blocks, rules and
configurations are, from their signatures and docstrings, into the page.

The page has a place for each module, between two marks. `docs/writing-a-sampler.md` has one for
what samplers are called with.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

NAMES: Mapping[str, tuple[str, ...]] = {
    "tramontane.blocks": (),  # all that it exports
    "tramontane.checkpoint.rules": (
        "Rule", "Kept", "Skip", "Rename", "Split", "Stack", "PACKED_EXPERTS", "EXPERTS",
        "Deinterleave", "Transpose", "Flatten", "Shift",
    ),
    "tramontane.config": ("DecoderConfig", "LayerNormConfig", "read_config"),
    "tramontane.sampling.step": (
        "Candidates", "History", "SamplerContext", "Step", "Prepares", "Forces",
    ),
}  # fmt: skip
"""Modules, and which of their names are described."""
COUNTED = ("tramontane.blocks", "tramontane.checkpoint.rules", "tramontane.config")
"""Those of which the page states which families use a name."""
MARKS = re.compile(r"<!-- generated from (\S+) -->.*?<!-- end -->", re.DOTALL)
WIDTH = 96


def described(module: str) -> tuple[str, ...]:
    """The names of a module that the page has."""
    return NAMES[module] or tuple(importlib.import_module(module).__all__)


def families(root: Path) -> dict[str, list[str]]:
    """For each name that a model of this repository imports, the distributions that do."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(root.glob("arch/*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in COUNTED:
                for alias in node.names:
                    found[alias.name].add(path.relative_to(root).parts[1])
    return {name: sorted(users) for name, users in found.items()}


def signature(name: str, target: Any) -> str:
    """How it is called, one line or one parameter a line; nothing for what is not called."""
    is_called = inspect.isclass(target) or inspect.isfunction(target)
    if not is_called or getattr(target, "_is_protocol", False):
        return ""
    parts, before = [], None
    found = inspect.signature(target)
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and before is not parameter.KEYWORD_ONLY:
            parts.append("*")
        before = parameter.kind
        text = parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {_annotation(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_default(parameter.default)}"
        parts.append(text)
    result = ""
    if not inspect.isclass(target) and found.return_annotation is not found.empty:
        result = f" -> {_annotation(found.return_annotation)}"
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){result}"])


def _annotation(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def _default(value: Any) -> str:
    if callable(value):
        return "..." if value.__name__ == "<lambda>" else str(value.__name__)
    return "..." if type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else repr(value)


def prose(text: str | None) -> str:
    """A docstring as Markdown: what would be markup, and is not between backticks, is escaped."""
    pieces = inspect.cleandoc(text or "").split("`")
    return "`".join(
        re.sub(r"([*<])", r"\\\1", piece) if index % 2 == 0 else piece
        for index, piece in enumerate(pieces)
    )


def attributes(target: type) -> dict[str, tuple[str, str]]:
    """A class's own attributes that have a docstring behind them: annotation, and that."""
    (tree,) = ast.parse(inspect.getsource(target)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for node, after in pairwise(tree.body):
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(node, ast.AnnAssign) and isinstance(text, ast.Constant):
            found[ast.unparse(node.target)] = (ast.unparse(node.annotation), str(text.value))
    return found


def methods(target: type) -> Iterator[tuple[str, str]]:
    """Signature and docstring of a class's own public methods and properties that have one."""
    for name, value in vars(target).items():
        if name in inspect.get_annotations(target):
            continue  # a function that is an attribute
        function = getattr(value, "__func__", value)
        if isinstance(value, property):
            function, shown = value.fget, name
        elif inspect.isfunction(inspect.unwrap(function)):
            shown = signature(name, inspect.unwrap(function))
        else:
            continue
        public = not name.startswith("_") or name == "__call__"
        if public and function is not None and function.__doc__:
            yield shown.replace("(cls, ", "(").replace("__call__", "(call)"), function.__doc__


def fields(target: type) -> Iterator[str]:
    """A configuration's own fields as rows of a table, with the limits of their values."""
    for name, field in getattr(target, "model_fields", {}).items():
        if name in target.__annotations__:
            default = "required" if field.is_required() else f"`{field.default!r}`"
            limits = ", ".join(
                f"{sign} {getattr(each, key)}"
                for each in field.metadata
                for key, sign in (("gt", "above"), ("ge", "at least"), ("le", "at most"))
                if hasattr(each, key)
            )
            kind = _annotation(target.__annotations__[name]).replace("|", "\\|")
            yield f"| `{name}` | `{kind}` | {limits} | {default} |"


def entry(module: str, name: str, used: Mapping[str, list[str]]) -> str:
    """The page's section on one name."""
    target = getattr(importlib.import_module(module), name)
    is_class = inspect.isclass(target)
    out = [f"### {name}", ""]
    table = list(fields(target)) if is_class else []
    if not table and (call := signature(name, target)):
        out += ["```py", call, "```", ""]
    if is_class or inspect.isfunction(target):
        out += [prose(target.__doc__), ""]
    else:
        out += [prose(_after(module, name)), ""]
        if isinstance(target, dict):
            out += [f"Keys: {', '.join(f'`{key}`' for key in target)}.", ""]
    if table:
        out += ["| field | type | limits | default |", "|---|---|---|---|", *table, ""]
    if is_class:
        out += [f"- `{each}: {kind}`. {_line(text)}"
                for each, (kind, text) in attributes(target).items()]  # fmt: skip
        out += [f"- `{' '.join(shown.split())}`. {_line(text)}" for shown, text in methods(target)]
        if out[-1]:
            out.append("")
    if module in COUNTED:
        who = used.get(name)
        out += [f"Used by: {', '.join(who)}." if who else "No family imports it directly.", ""]
    return "\n".join(out)


def _line(text: str) -> str:
    return " ".join(prose(text).split())


def _after(module: str, name: str) -> str:
    """The docstring behind a module's constant."""
    found = importlib.import_module(module)
    value = getattr(found, name)
    places = [found, *map(importlib.import_module, _inner(found))]
    for place in places:
        body = ast.parse(inspect.getsource(place)).body
        for node, after in pairwise(body):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) else target
            if isinstance(target, ast.Name) and target.id == name and hasattr(place, name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and getattr(place, name) is value:
                    return str(text.value)
    return ""


def _inner(package: Any) -> list[str]:
    """The modules of a package that are loaded."""
    return [name for name in sorted(sys.modules) if name.startswith(f"{package.__name__}.")]


def with_reference(page: str, root: Path) -> str:
    """The page with what it has between its marks written again. root: the repository."""
    used = families(root)

    def generated(found: re.Match[str]) -> str:
        module = found[1]
        entries = "\n".join(entry(module, name, used) for name in described(module))
        return f"<!-- generated from {module} -->\n{entries}<!-- end -->"

    return MARKS.sub(generated, page)


if __name__ == "__main__":
    for given in sys.argv[1:]:
        path = Path(given)
        path.write_text(with_reference(path.read_text("utf-8"), path.resolve().parents[1]), "utf-8")
