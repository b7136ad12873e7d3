"""Finding, choosing and loading plugins, with distributions made of a few files."""

from __future__ import annotations

import logging
import sys

import pytest
from tramontane import plugin
from tramontane.errors import PluginBroken, PluginConflict, PluginIncompatible, PluginNotInstalled
from tramontane.registry import Registry, canonical, registry

SAMPLER = """
from tramontane.plugin import Sampler, hookimpl

@hookimpl
def samplers():
    yield Sampler(name="{name}", order=1, build="nowhere:build")
"""


@pytest.fixture
def distribute(tmp_path, monkeypatch):
    """(distribution, module's code, names, requirements) -> a distribution on sys.path."""
    made = []

    def distribute(name, code, names, requires=("tramontane-core~=0.1.0",), kind="samplers"):
        module = canonical(name).replace("-", "_")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}"
        )
        entries = "".join(f"{entry} = {module}\n" for entry in names)
        (info / "entry_points.txt").write_text(f"[tramontane.{kind}]\n{entries}")
        (tmp_path / f"{module}.py").write_text(code)
        made.append(module)

    monkeypatch.syspath_prepend(tmp_path)
    yield distribute
    for module in made:
        sys.modules.pop(module, None)


def test_a_name_is_found_without_importing_anything(distribute):
    distribute("Acme.Plugin", "raise RuntimeError('imported')", ["acme"])
    assert "acme" in Registry().names("samplers")
    assert "acme" not in Registry(["another"]).names("samplers")
    assert "acme" in Registry(["acme_plugin"]).names("samplers")


def test_an_offer_is_found_by_name(distribute):
    distribute("acme", SAMPLER.format(name="acme"), ["acme"])
    assert Registry().get(plugin.Sampler, "acme").build == "nowhere:build"


def test_a_plugin_that_exits_when_it_is_imported_does_not_end_the_program(distribute):
    distribute("acme", "raise SystemExit(3)", ["acme"])
    with pytest.raises(PluginBroken, match=r"acme 1\.0 \(acme\): SystemExit: 3"):
        Registry().get(plugin.Sampler, "acme")


def test_a_hook_that_yields_no_iterable_is_broken(distribute):
    code = SAMPLER.format(name="acme").replace("yield", "return")
    distribute("acme", code, ["acme"])
    with pytest.raises(PluginBroken, match="'Sampler' object is not iterable"):
        Registry().get(plugin.Sampler, "acme")


@pytest.mark.parametrize("requirement", ["tramontane-core>=9", "Tramontane.Core==0.0.1"])
def test_a_plugin_for_another_core_is_refused_before_import(distribute, requirement):
    distribute("acme", "raise RuntimeError('imported')", ["acme"], [requirement])
    with pytest.raises(PluginIncompatible, match="was written for tramontane-core"):
        Registry().get(plugin.Sampler, "acme")


def test_a_requirement_for_another_platform_does_not_count(distribute):
    needs = ["tramontane-core~=0.1.0", "tramontane-core>=9; python_version < '3'"]
    distribute("acme", SAMPLER.format(name="acme"), ["acme"], needs)
    assert Registry().get(plugin.Sampler, "acme").name == "acme"


def test_a_requirement_that_cannot_be_read_is_broken(distribute):
    distribute("acme", SAMPLER.format(name="acme"), ["acme"], ["tramontane-core ~~ 1"])
    with pytest.raises(PluginBroken, match="requires 'tramontane-core ~~ 1'"):
        Registry().get(plugin.Sampler, "acme")


def test_two_distributions_with_one_name_clash(distribute):
    distribute("acme-one", SAMPLER.format(name="acme"), ["acme"])
    distribute("acme-two", SAMPLER.format(name="acme"), ["acme"])
    with pytest.raises(PluginConflict, match="comes from acme-one and acme-two"):
        Registry().get(plugin.Sampler, "acme")
    assert Registry(["acme-two"]).get(plugin.Sampler, "acme").name == "acme"


def test_a_name_of_ours_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(registry, "known", lambda kind: {"sahara": "tramontane-arch-sahara"})
    with pytest.raises(PluginNotInstalled, match="pip install tramontane-arch-sahara"):
        Registry([]).get(plugin.Architecture, "sahara")
    with pytest.raises(PluginNotInstalled, match="did you mean 'sahara'"):
        Registry([]).get(plugin.Architecture, "sahhara")


def test_a_name_kept_out_is_not_told_to_be_installed(distribute, monkeypatch):
    distribute("acme", SAMPLER.format(name="acme"), ["acme"])
    monkeypatch.setenv("TRAMONTANE_PLUGINS", "another,")
    with pytest.raises(PluginNotInstalled, match="TRAMONTANE_PLUGINS leaves out acme"):
        Registry.from_environment().get(plugin.Sampler, "acme")


def test_what_is_skipped_is_kept_and_told_once(distribute, caplog):
    distribute("acme", "import nothing_of_that_name", ["acme"])
    found = Registry(["acme"])
    with caplog.at_level(logging.WARNING):
        assert found.all(plugin.Sampler) == found.all(plugin.Sampler) == []
    assert isinstance(found.broken["samplers", "acme"], PluginBroken)
    assert len(caplog.records) == 1


def test_a_listener_that_wants_fewer_details_gets_fewer(distribute, capsys):
    code = SAMPLER.format(name="acme") + (
        "@hookimpl\ndef model_loaded():\n    print('heard')\n"
        "@hookimpl\ndef request_finished(result):\n    print(result)\n"
    )
    distribute("acme", code, ["acme"])
    found = Registry(["acme"])
    found.tell("model_loaded", report="nobody is loaded yet")
    found.get(plugin.Sampler, "acme")
    found.tell("model_loaded", report="a report")
    found.tell("request_finished", result="a result")
    assert capsys.readouterr().out == "heard\na result\n"
