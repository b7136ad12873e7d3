"""Loads as it should, and then does each thing wrong that the kit must find."""

from collections.abc import Iterator

import numpy as np  # heavy
from tramontane import plugin
from tramontane.plugin import hookimpl

EXAMPLE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": int(np.int64(2)),
    "num_attention_heads": 4,
}


@hookimpl
def architectures() -> Iterator[plugin.Architecture]:
    yield plugin.Architecture(
        name="CarelessForCausalLM",
        aliases=("careless_alias",),
        config="tramontane.config:DecoderConfig",
        model="acme_careless.model:Careless",
        weights="acme_careless.model:WEIGHTS",
        example=EXAMPLE,
    )


@hookimpl
def quantizers() -> Iterator[plugin.Quantizer]:
    yield plugin.Quantizer(
        name="careless",
        magic=b"CARE",
        open="acme_careless.container:Container",
        sample="acme_careless.container:write",
    )


@hookimpl
def backends() -> Iterator[plugin.Backend]:
    yield plugin.Backend(
        name="careless",
        probe="acme_careless.device:probe",
        prepare="acme_careless.device:prepare_misspelt",
    )


@hookimpl
def samplers() -> Iterator[plugin.Sampler]:
    yield plugin.Sampler(
        name="careless_greedy",
        order=150,
        options={"threshold": 1.5},
        build="acme_careless.steps:greedy",
    )
    yield plugin.Sampler(
        name="careless_cut",
        order=150,
        options={"threshold": 0.5},
        fields={"top_p": "p"},
        build="acme_careless.steps:cut",
    )


@hookimpl
def tool_callers() -> Iterator[plugin.ToolCaller]:
    yield plugin.ToolCaller(
        name="careless",
        markers=("",),
        opening="[",
        closing="]",
        parse="acme_careless.steps:parse",
        example='["get_weather", {"city": "Oslo"}]',
    )


@hookimpl
def mcp_clients() -> Iterator[plugin.McpClient]:
    yield plugin.McpClient(name="careless", connect="acme_careless.steps:connect")


@hookimpl
def toolsets() -> Iterator[plugin.Toolset]:
    yield plugin.Toolset(
        name="careless", summary="Does all.", open="acme_careless.steps:open_tools"
    )


@hookimpl
def commands() -> Iterator[plugin.Command]:
    yield plugin.Command(
        name="careless", summary="Says what it does not do.", run="acme_careless.steps:run"
    )


@hookimpl
def pages() -> Iterator[plugin.Page]:
    yield plugin.Page(
        name="careless", summary="Is elsewhere.", path="/Care less", files="acme_careless:none"
    )


@hookimpl
def models() -> Iterator[plugin.Model]:
    yield plugin.Model(name="careless", summary="Is not there.", file="acme_careless:none.gguf")
