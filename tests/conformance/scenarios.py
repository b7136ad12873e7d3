"""What the suite asks of clients and servers, and what of that cannot be asked of ours."""

from __future__ import annotations

CALLS = {
    "tools_call": ("add_numbers", '{"a": 5, "b": 3}'),
    "sse-retry": ("test_reconnection", "{}"),
}
"""Client scenarios in which a tool is to be called, and how; in others tools are listed."""

NO_OAUTH = (
    "tokens and headers come from the configuration; nothing is signed up for or logged in to"
)
NOBODY_TO_ASK = "a model's tools run where nobody can be asked; the capability is not declared"
OWN_TOOLS = "asks for a tool that the suite's own server has; ours has a model's three"
NO_RESOURCES = "a model has no resources; the capability is not used"
NO_PROMPTS = "a model has no prompts; the capability is not used"
STATELESS = "the server keeps no sessions and declares neither logging nor completions"

NOT_OURS = {
    "client": {"auth/": NO_OAUTH, "elicitation-": NOBODY_TO_ASK},
    "server": {
        "tools-call-": OWN_TOOLS,
        "json-schema-2020-12": OWN_TOOLS,
        "elicitation-": OWN_TOOLS,
        "server-sse-": OWN_TOOLS,
        "resources-read": NO_RESOURCES,
        "resources-templates": NO_RESOURCES,
        "resources-subscribe": NO_RESOURCES,
        "resources-unsubscribe": NO_RESOURCES,
        "prompts-get": NO_PROMPTS,
        "logging-": STATELESS,
        "completion-": STATELESS,
    },
}
"""By the beginning of a scenario's name, why it does not apply."""


def reason(side: str, scenario: str) -> str:
    """Why a scenario does not apply; empty where it does."""
    found = (why for start, why in NOT_OURS[side].items() if scenario.startswith(start))
    return next(found, "")
