"""What is imported to print help, or to name a plugin, by cause and not by the clock."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tramontane.registry import KINDS, Registry
from tramontane.testing.import_cost import HEAVY, heavy_imports

MODULES = sorted({e.module for kind in KINDS for e in Registry().entries(kind)})
HELP = """
import sys
from tramontane.cli.main import main
sys.argv = ["tramontane", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sorted(sys.modules), file=sys.stderr)
"""

LOADING = """
import sys
import torch
before = set(sys.modules)
from tramontane.tasks.task import in_engine
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.containers import installed_containers
from tramontane.testing.random_model import random_model
from tramontane_backend_cpu.step.graph import CannotRecord
from tramontane_backend_cpu.step.record import Recording
for offer in filter(in_engine, Registry().all(Architecture)):
    model = random_model(offer)
    for container in installed_containers() if offer.aliases else ():
        random_model(offer, container.dialect, container.names)
    try:
        Recording(model)
    except CannotRecord:
        pass
print(*sys.modules.keys() - before)
"""


@pytest.mark.parametrize(
    "module",
    ["tramontane", "tramontane.plugin", "tramontane.registry", "tramontane.cli.main",
     "tramontane.answers", "tramontane.cli.run", "tramontane.cli.options",
     "tramontane.cli.plugins", "tramontane.cli.doctor", "tramontane.testing.pytest_plugin",
     *MODULES],
)  # fmt: skip
def test_importing_is_light(module):
    assert heavy_imports(f"import {module}") == []


def test_help_is_light():
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert set(HEAVY) & set(done.stderr.split()) == set()


def test_naming_plugins_imports_none_of_them():
    ask = "from tramontane.registry import KINDS, Registry\n[Registry().names(k) for k in KINDS]"
    probe = f"import sys\n{ask}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(MODULES) & set(done.stdout.split())


def test_loading_leaves_compilers_of_torch_alone():
    """Half a second of imports, which some operations on tensors without memory bring along."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING], capture_output=True, text=True, check=True, timeout=300
    )
    imported = set(done.stdout.split())
    assert "tramontane_backend_cpu.step.record" in imported
    assert imported & {"sympy", "torch._dynamo", "torch._inductor.compile_fx"} == set()


def test_what_begins_ahead_leaves_torch_to_be_imported():
    begun = (
        "from tramontane.system.preload import begin; from tramontane.registry import Registry; "
    )
    heavy = heavy_imports(begun + "begin('.', 'auto', Registry())")
    assert "psutil" in heavy  # a device was looked for
    assert set(heavy) <= {"psutil", "numpy", "stevedore"}


def test_numba_is_imported_to_compile_and_not_before():
    heavy = heavy_imports("import tramontane.llm, tramontane_backend_cpu.prepare")
    assert "torch" in heavy
    assert "numba" not in heavy
