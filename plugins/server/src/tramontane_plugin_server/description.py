"""The API reference as a page, from the code: python -m tramontane_plugin_server.description"""

from __future__ import annotations

import sys
from typing import Any

from .app import build
from .app_state import Serving
from .openapi_page import sections
from .settings import read

HEAD = """\
# The server's API

Made from the code by `python -m tramontane_plugin_server.description`; a test keeps it so. A
running server has the same at `/docs`, and as OpenAPI at `/openapi.json`. What of
OpenAI's and Anthropic's APIs is honoured and what is refused is in
[compatibility](compatibility.md).
"""


def openapi() -> dict[str, Any]:
    """The description of all routes."""
    app: Any = build(Serving(read(None, {})))
    while not hasattr(app, "openapi"):  # what every request passes is around it
        app = app._app
    found: dict[str, Any] = app.openapi()
    return found


def page() -> str:
    """docs/api.md."""
    parts = [HEAD]
    for section in sections(openapi()):
        parts.append(f"## {section.title}\n\n{_one_line(section.about)}\n")
        if section.rows:
            lines = ["| field | is | means |", "|---|---|---|"]
            for name, required, kind, said in section.rows:
                star = " (required)" if required else ""
                lines.append(f"| `{name}`{star} | {_one_line(kind)} | {_one_line(said)} |")
            parts.append("\n".join(lines) + "\n")
        parts.append(f"Answers with {', '.join(section.codes)}.\n")
    return "\n".join(parts)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
