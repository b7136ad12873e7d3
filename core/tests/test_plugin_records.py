"""The records that plugins yield are plain values."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
from tramontane import hookspecs, plugin
from tramontane.registry import KINDS, SPEC_MARK

OFFERS = {
    "architectures": plugin.Architecture(name="A", config="m:C", model="m:M", example={"a": 1}),
    "quantizers": plugin.Quantizer(name="a", magic=b"AAAA", open="m:open"),
    "backends": plugin.Backend(name="a", probe="m:probe", prepare="m:prepare"),
    "samplers": plugin.Sampler(name="a", order=1, options={"k": 40}, build="m:build"),
    "tool_callers": plugin.ToolCaller(
        name="a", markers=("<a>",), opening="<a>", closing="</a>", parse="m:parse"
    ),
    "adapters": plugin.AdapterForm(name="a", files=("a.json",), read="m:read"),
    "drafters": plugin.Drafter(name="a", options={"n": 3}, build="m:build"),
    "interconnects": plugin.Interconnect(name="a", join="m:join", options={"n": "3"}),
    "mcp_clients": plugin.McpClient(name="a", connect="m:connect"),
    "toolsets": plugin.Toolset(name="a", summary="Does a.", options={"n": 3}, open="m:open"),
    "commands": plugin.Command(name="a", summary="Does a.", run="m:run"),
    "pages": plugin.Page(name="a", summary="Shows a.", path="/a", files="m:page"),
    "models": plugin.Model(name="a", summary="Is a.", file="m:a.bin"),
}


def test_each_kind_has_a_record_and_a_hook():
    assert KINDS.keys() == OFFERS.keys()
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, SPEC_MARK)}
    assert hooks == {*KINDS, "model_loaded", "request_finished"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_can_be_hashed_pickled_and_not_changed(kind):
    offer = OFFERS[kind]
    assert type(offer) is KINDS[kind]
    assert offer in {offer}
    assert pickle.loads(pickle.dumps(offer)) == offer
    with pytest.raises(FrozenInstanceError):
        offer.name = "b"


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_given_by_name_so_that_new_ones_can_come(kind):
    assert all(field.kw_only for field in fields(KINDS[kind]))
    with pytest.raises(TypeError):
        KINDS[kind]("a")


def test_load_imports_what_a_target_names():
    assert plugin.load("tramontane.plugin:Offer") is plugin.Offer
    with pytest.raises(AttributeError):
        plugin.load("tramontane.plugin:Nothing")
