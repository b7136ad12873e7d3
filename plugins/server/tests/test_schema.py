"""What /openapi.json promises is what the server does, tried with requests made from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from tramontane_plugin_server.app import build
from tramontane_plugin_server.serving import Serving
from tramontane_plugin_server.settings import read

from .live_server import Live, serving


def described() -> dict[str, object]:
    """The description, without a server."""
    app = build(Serving(read(None, {})))
    while not hasattr(app, "openapi"):
        app = app._app  # type: ignore[attr-defined]
    found: dict[str, object] = app.openapi()
    return found


SCHEMA = schemathesis.openapi.from_dict(described())
CHECKS = [
    checks.not_a_server_error,
    schemathesis.specs.openapi.checks.status_code_conformance,
    schemathesis.specs.openapi.checks.content_type_conformance,
    schemathesis.specs.openapi.checks.response_schema_conformance,
    schemathesis.specs.openapi.checks.negative_data_rejection,
]
UNLOADS = "/v1/models/unload"


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that answers in a few tokens."""
    with serving(tmp_path_factory.mktemp("brief"), "--max-new-tokens", "4") as live:
        yield live


@SCHEMA.exclude(path=UNLOADS).parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.filterwarnings("ignore")  # of the generator's own
def test_any_request_gets_what_is_promised(case: schemathesis.Case, brief: Live) -> None:
    case.call_and_validate(base_url=brief.url, checks=CHECKS)
