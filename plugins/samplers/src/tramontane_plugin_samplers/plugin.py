"""The sampler steps.

Those of an order below 100 weigh or forbid tokens; from 100 on they drop unlikely ones, from 200 on
they change the temperature, from 300 on they drop by feedback. 50 is left for grammars.
"""

from collections.abc import Iterable

from tramontane.plugin import Sampler, hookimpl

HERE = "tramontane_plugin_samplers"


@hookimpl
def samplers() -> Iterable[Sampler]:
    """All steps, in the order in which they run."""
    yield Sampler(
        name="logit_bias",
        aliases=("flat_bias",),
        order=10,
        options={"bias": ""},
        fields={"logit_bias": "bias"},
        build=f"{HERE}.logit_bias:build",
    )
    yield Sampler(
        name="suppress",
        aliases=("suppress_tokens",),
        order=20,
        options={"tokens": ""},
        fields={"suppress_tokens": "tokens"},
        build=f"{HERE}.suppress:build",
    )
    yield Sampler(
        name="repetition",
        aliases=("repetition_penalty",),
        order=60,
        options={"penalty": 1.3, "last_n": 64},
        fields={"repetition_penalty": "penalty", "repetition_window": "last_n"},
        build=f"{HERE}.repetition:build",
    )
    yield Sampler(
        name="frequency_presence",
        aliases=("freq_presence",),
        order=70,
        options={"frequency": 0.0, "presence": 0.0, "last_n": 64},
        fields={
            "frequency_penalty": "frequency",
            "presence_penalty": "presence",
            "penalty_window": "last_n",
        },
        build=f"{HERE}.frequency_presence:build",
    )
    yield Sampler(
        name="seq_repetition",
        aliases=("sequence_repetition",),
        order=80,
        options={
            "flat_penalty": 0.0,
            "stacking_penalty": 0.0,
            "min_length": 4,
            "tolerance": 0,
            "max_merge": 1,
            "last_n": 64,
        },
        build=f"{HERE}.seq_repetition:build",
    )
    yield Sampler(
        name="dry",
        order=90,
        options={
            "multiplier": 0.8,
            "base": 1.75,
            "allowed_length": 2,
            "last_n": -1,
            "breakers": None,
        },
        fields={
            "dry_multiplier": "multiplier",
            "dry_base": "base",
            "dry_allowed_length": "allowed_length",
            "dry_range": "last_n",
            "dry_sequence_breakers": "breakers",
        },
        build=f"{HERE}.dry:build",
    )
    yield Sampler(
        name="top_n_sigma",
        order=100,
        options={"n": 1.0},
        fields={"top_n_sigma": "n"},
        build=f"{HERE}.top_n_sigma:build",
    )
    yield Sampler(
        name="top_k",
        order=110,
        options={"k": 40, "min_keep": 1},
        fields={"top_k": "k"},
        build=f"{HERE}.top_k:build",
    )
    yield Sampler(
        name="tail_free",
        aliases=("tfs", "tfs_z"),
        order=120,
        options={"z": 1.0},
        fields={"tfs_z": "z"},
        build=f"{HERE}.tail_free:build",
    )
    yield Sampler(
        name="typical",
        aliases=("locally_typical", "typical_p", "typ_p"),
        order=130,
        options={"p": 1.0},
        fields={"typical_p": "p"},
        build=f"{HERE}.typical:build",
    )
    yield Sampler(
        name="top_p",
        order=140,
        options={"p": 0.95},
        fields={"top_p": "p"},
        build=f"{HERE}.top_p:build",
    )
    yield Sampler(
        name="top_a",
        order=150,
        options={"a1": 0.0, "a2": 2.0},
        fields={"top_a": "a1"},
        build=f"{HERE}.top_a:build",
    )
    yield Sampler(
        name="min_p",
        order=160,
        options={"p": 0.0},
        fields={"min_p": "p"},
        build=f"{HERE}.min_p:build",
    )
    yield Sampler(
        name="xtc",
        order=170,
        options={"probability": 0.5, "threshold": 0.1},
        fields={"xtc_probability": "probability", "xtc_threshold": "threshold"},
        build=f"{HERE}.xtc:build",
    )
    yield Sampler(
        name="temperature",
        aliases=("temp", "dynatemp"),
        order=200,
        options={"t": 0.8, "range": 0.0, "exponent": 1.0},
        fields={
            "temperature": "t",
            "dynatemp_range": "range",
            "dynatemp_exponent": "exponent",
        },
        build=f"{HERE}.temperature:build",
    )
    yield Sampler(name="greedy", order=210, build=f"{HERE}.temperature:greedy")
    for version in (1, 2):
        yield Sampler(
            name=f"mirostat{version}",
            order=290 + 10 * version,
            exclusive=True,
            options={"tau": 5.0, "eta": 0.1, "version": version},
            fields={"mirostat": "version", "mirostat_tau": "tau", "mirostat_eta": "eta"},
            build=f"{HERE}.mirostat:build{version}",
        )
