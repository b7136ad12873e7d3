"""What becomes of plugins in trouble, with real distributions installed beside good ones."""

from __future__ import annotations

import json

import pytest

ASK = """
import json, sys
from tramontane import plugin
from tramontane.errors import PluginError
from tramontane.registry import Registry

registry = Registry.from_environment()
told = {}
for name in sys.argv[1:]:
    try:
        told[name] = registry.get(plugin.Sampler, name).name
    except PluginError as error:
        told[name] = [type(error).__name__, str(error), type(error.__cause__).__name__]
acme = sorted(name for name in sys.modules if name.startswith("acme"))
print(json.dumps({"told": told, "modules": acme}))
"""
LIST = """
import json
from tramontane import plugin
from tramontane.registry import Registry

registry = Registry.from_environment()
offers = [offer.name for offer in registry.all(plugin.Sampler) if offer.name.startswith("acme")]
broken = {name: str(error) for (_, name), error in registry.broken.items()}
print(json.dumps({"offers": offers, "broken": broken}))
"""
TELL = """
from tramontane.registry import Registry

registry = Registry()
registry.tell("model_loaded", report="a report")
registry.tell("request_finished", result="a result")
registry.tell("request_finished", result="another")
print(sorted(registry.broken))
"""

TROUBLE = [
    (
        "acme_broken",
        "PluginBroken",
        ["acme-broken 1.0 (acme_broken.plugin)", "ModuleNotFoundError", "acme_dependency"],
        "ModuleNotFoundError",
    ),
    (
        "acme_misspelt",
        "PluginBroken",
        ["acme-misspelt 1.0", "unknown hook 'sampelrs'", "did you mean 'samplers'?"],
        "PluginValidationError",
    ),
    (
        "acme_wrong_argument",
        "PluginBroken",
        ["acme-wrong-argument 1.0", "the hook 'samplers' has no argument 'config'"],
        "PluginValidationError",
    ),
    ("acme_clash", "PluginConflict", ["acme-clash-one and acme-clash-two", "uninstall one"], None),
    (
        "acme_too_new",
        "PluginIncompatible",
        ["acme-too-new 1.0", "tramontane-core~=9.0", "this is 0.1.0", "pip install -U"],
        None,
    ),
    ("acme_promise", "PluginBroken", ["does not offer it", "it offers acme_other"], None),
    ("acme_wrong_record", "PluginBroken", ["yields Command", "plugin.Sampler"], None),
    ("acme_second_name", "PluginBroken", ["'acme_first_name'", "without advertising it"], None),
    ("acme_letters", "PluginBroken", ["must be a tuple, not 'acme_letters'"], None),
    ("acme_hlaf", "PluginNotInstalled", ["no installed plugin", "mean 'acme_half'?"], None),
]


@pytest.fixture(scope="module")
def asked(python, mini_dists):
    """What one process says of each name, and which of the plugins it then had imported."""
    done = python("-c", ASK, *(row[0] for row in TROUBLE), "acme_halved", path=mini_dists)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "kind", "words", "cause"), TROUBLE)
def test_trouble_is_named(asked, name, kind, words, cause):
    raised, message, raised_from = asked["told"][name]
    assert raised == kind
    assert [word for word in words if word not in message] == []
    assert "\n" not in message
    assert raised_from == (cause or "NoneType")


def test_a_good_plugin_works_after_all_that(asked):
    assert asked["told"]["acme_halved"] == "acme_half"


def test_clashing_and_too_new_plugins_are_never_imported(asked):
    assert "acme_misspelt.plugin" in asked["modules"]
    untouched = {"acme_clash_one", "acme_clash_two", "acme_too_new", "acme_listener"}
    assert not untouched & {name.partition(".")[0] for name in asked["modules"]}


def test_listing_skips_what_is_broken_with_one_warning_each(python, mini_dists):
    done = python("-c", LIST, path=mini_dists)
    told = json.loads(done.stdout)
    assert told["offers"] == ["acme_half"]
    assert sorted(told["broken"]) == sorted(row[0] for row in TROUBLE if row[0] != "acme_hlaf")
    warnings = [line for line in done.stderr.splitlines() if "acme" in line]
    assert len(warnings) == len(told["broken"]), done.stderr
    assert all("skipped" in line for line in warnings)


def test_the_allow_list_is_applied_before_import(python, mini_dists):
    allowed = "Acme_Good,acme-clash-one"
    done = python(
        "-c", ASK, "acme_clash", "acme_half", "acme_broken", path=mini_dists,
        TRAMONTANE_PLUGINS=allowed,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["told"]["acme_clash"] == "acme_clash"  # with one of the two out, no conflict
    assert told["told"]["acme_half"] == "acme_half"
    raised, message, _ = told["told"]["acme_broken"]
    assert raised == "PluginNotInstalled"
    assert "TRAMONTANE_PLUGINS leaves out acme-broken" in message
    assert "acme_broken" not in told["modules"]


def test_an_empty_allow_list_allows_nothing(python, mini_dists):
    done = python("-c", LIST, path=mini_dists, TRAMONTANE_PLUGINS="")
    assert json.loads(done.stdout) == {"offers": [], "broken": {}}


def test_a_listener_that_raises_keeps_the_news_from_nobody(python, mini_dists):
    done = python("-c", TELL, path=mini_dists)
    assert done.returncode == 0, done.stderr
    assert "acme-listener does not like a report" in done.stderr
    assert "model_loaded failed in acme_listener.plugin" in done.stderr
    heard = [line for line in done.stdout.splitlines() if "heard" in line]
    assert heard == ["acme-listener heard of a result", "acme-listener heard of another"]


def test_a_plugin_without_entry_point_for_an_event_hears_it_once_loaded(python, mini_dists):
    load = "registry.get(plugin.Sampler, 'acme_half')\n"
    code = "from tramontane import plugin\n" + TELL.replace(
        "registry = Registry()\n", "registry = Registry()\n" + load
    )
    assert "acme-good heard of a report" in python("-c", code, path=mini_dists).stdout


def test_the_trace_shows_offers_and_events(python, mini_dists):
    done = python("-c", LIST + TELL, path=mini_dists, TRAMONTANE_TRACE="1")
    assert "hook samplers {}" in done.stderr
    assert "hook model_loaded {'report': 'a report'}" in done.stderr
    assert "hook samplers" not in python("-c", LIST + TELL, path=mini_dists).stderr
