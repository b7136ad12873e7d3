"""The path tells the distribution, the distribution tells the import, and nothing is said twice."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tramontane.testing.catalog import workspace

ROOT = Path(__file__).parents[1]
PREFIX = {"arch": "arch", "quant": "quant", "backends": "backend", "plugins": "plugin"}
WORKSPACE = workspace(ROOT)
MEMBERS = {str(folder.relative_to(ROOT)): table for folder, table in WORKSPACE.items()}
PLUGINS = {path: table for path, table in MEMBERS.items() if path != "core"}
FAMILIES = sorted(folder.name for folder in (ROOT / "arch").iterdir() if folder.is_dir())
LINES = 400


def tracked(*patterns: str) -> list[Path]:
    """Files that are in the repository, or about to be."""
    ask = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).exists()]


def package(path: str) -> Path:
    """The import package of a plugin's folder."""
    top, name = path.split("/")
    return ROOT / path / "src" / f"tramontane_{PREFIX[top]}_{name}".replace("-", "_")


@pytest.mark.parametrize("path", PLUGINS)
def test_folder_distribution_and_import_have_one_name(path):
    top, name = path.split("/")
    assert PLUGINS[path]["project"]["name"] == f"tramontane-{PREFIX[top]}-{name}"
    assert [p.name for p in (ROOT / path / "src").glob("tramontane*")] == [package(path).name]
    points = PLUGINS[path]["project"]["entry-points"]
    modules = {value for names in points.values() for value in names.values()}
    assert modules == {f"{package(path).name}.plugin"}


@pytest.mark.parametrize("path", PLUGINS)
def test_a_plugin_has_its_module_tests_and_words(path):
    assert (package(path) / "plugin.py").exists()
    assert list((ROOT / path / "tests").glob("test_*.py"))
    assert PLUGINS[path]["project"]["description"].endswith(".")


@pytest.mark.parametrize("path", MEMBERS)
def test_a_child_says_little_and_configures_no_tool(path):
    text = (ROOT / path / "pyproject.toml").read_text("utf-8")
    points = MEMBERS[path]["project"]["entry-points"].values()
    names = sum(len(table) for table in points)
    # a plugin with many names needs a line for each, and nothing else
    assert len(text.splitlines()) - max(0, names - 4) <= 26
    assert MEMBERS[path].get("tool", {}).keys() <= {"hatch"}
    strays = [file for end in ("*.ini", "*.cfg", ".*rc") for file in (ROOT / path).glob(end)]
    assert not strays


def test_the_root_has_every_tool():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert {"ruff", "mypy", "pytest"} <= table["tool"].keys()


@pytest.mark.parametrize("path", PLUGINS)
def test_the_root_brings_every_plugin_or_offers_it_as_an_extra(path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    named = {re.split(r"[=\[]", line)[0] for line in [*project["dependencies"], *extras]}
    assert PLUGINS[path]["project"]["name"] in named


def said(path: Path) -> Iterator[tuple[int, str]]:
    """The names and texts of a file's code; docstrings may cite whom they like."""
    tree = ast.parse(path.read_text("utf-8"))
    cited = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in cited:
            yield node.lineno, node.value
        elif isinstance(node, (ast.Name, ast.Attribute, ast.alias, ast.arg)):
            word = next(getattr(node, field) for field in ("id", "attr", "name", "arg")
                        if hasattr(node, field))  # fmt: skip
            yield getattr(node, "lineno", 0), word


@pytest.fixture(scope="module")
def said_in_core():
    """(file, line, text) of all names and texts of the core's code."""
    return [(path, *found) for path in tracked("core/src/**/*.py") for found in said(path)]


@pytest.mark.parametrize("family", FAMILIES)
def test_core_names_no_model_family(family, said_in_core):
    # names of other things are not meant: llama.cpp, the rope scaling llama3, Qwen2Tokenizer
    word = re.compile(rf"\b{family}(\b(?![-.])|\d*(For|Model|Config)[A-Z]*)", re.IGNORECASE)
    naming = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path, line, text in said_in_core
        if word.search(text)
        and "llama_cpp" not in text  # a script that runs llama-cpp-python
        and not text.startswith("Mamba")  # the blocks and their configuration, of the papers' name
    ]
    assert not naming, "\n".join(naming)


def test_no_distribution_imports_another_of_ours_but_core():
    """Unless it says so among its dependencies, as a format that holds another's blocks does."""
    crossing = []
    for path in PLUGINS:
        own = package(path).name
        needed = (ROOT / path / "pyproject.toml").read_text("utf-8").replace("-", "_")
        for file in (ROOT / path / "src").rglob("*.py"):
            for name in re.findall(
                r"\btramontane_(?:arch|quant|backend|plugin)_\w+", file.read_text("utf-8")
            ):
                if not name.startswith(own) and f'"{name}' not in needed:
                    crossing.append(f"{file.relative_to(ROOT)}: {name}")
    assert not crossing, "\n".join(crossing)


def test_files_are_short():
    long = {}
    for path in tracked("*.py"):
        count = len(path.read_text("utf-8").splitlines())
        if count > LINES:
            long[str(path.relative_to(ROOT))] = count
    assert not long


def test_names_say_the_idea():
    vague = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
    assert [path for path in tracked("*.py") if path.stem in vague] == []


def imports(package: Path) -> dict[str, set[str]]:
    """Module to the modules of its own distribution that it imports: at its top, in functions, and
    for types."""
    files = {
        ".".join((package.name, *file.relative_to(package).with_suffix("").parts)): file
        for file in package.rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): file for name, file in files.items()}

    def module_of(name: str) -> str:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    graph: dict[str, set[str]] = {}
    for module, file in modules.items():
        home = module if file.name == "__init__.py" else module.rpartition(".")[0]
        names = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                path = [home] if node.level else []
                origin = ".".join([*path, *([node.module] if node.module else [])])
                names |= {f"{origin}.{alias.name}" for alias in node.names}
        graph[module] = {module_of(name) for name in names} - {"", module}
    return graph


@pytest.mark.parametrize("path", MEMBERS)
def test_no_import_goes_in_a_circle(path):
    root = ROOT / "core/src/tramontane" if path == "core" else package(path)
    graph = imports(root)
    while leaves := {module for module, needs in graph.items() if not needs & graph.keys()}:
        graph = {module: needs for module, needs in graph.items() if module not in leaves}
    assert not graph, {module: sorted(needs & graph.keys()) for module, needs in graph.items()}
