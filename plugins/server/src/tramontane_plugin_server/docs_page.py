"""GET /docs: the description as a page that needs nothing from anywhere else."""

from __future__ import annotations

import re
from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from .openai.shapes import ERRORS
from .openapi_page import Section, sections

router = APIRouter()
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2430; background: #fff; }
code, pre { font: 14px/1.5 ui-monospace, monospace; background: #eef1f5; border-radius: 4px; }
code { padding: .1em .3em; } pre { padding: .8em 1em; overflow-x: auto; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; border-bottom: 1px solid #d5dbe3; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; vertical-align: top; padding: .3em .6em;
  border-bottom: 1px solid #e6eaf0; }
nav { columns: 2 20rem; font-size: .9rem; overflow-wrap: anywhere; }
td { overflow-wrap: anywhere; } td:first-child { white-space: nowrap; }
@media (max-width: 40rem) { th { display: none; } td { display: block; border: 0; padding: .1em 0; }
  tr { display: block; padding: .5em 0; border-bottom: 1px solid #8884; } } a { color: #1a5fb4; }
@media (prefers-color-scheme: dark) { body { color: #dde3ea; background: #14181e; }
  code, pre { background: #232a33; } td, th, h2 { border-color: #313a45; } a { color: #8ab4f8; } }
"""
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
TRY = """curl {url}v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"messages": [{{"role": "user", "content": "Tell me a story"}}], "max_tokens": 50}}'"""


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """To the description."""
    return RedirectResponse("docs")


@router.get("/docs", response_class=HTMLResponse, responses={401: ERRORS[401]})
async def docs(request: Request) -> HTMLResponse:
    """This description, to be read in a browser."""
    found = list(sections(request.app.openapi()))
    links = "".join(f'<div><a href="#{_anchor(s)}">{escape(s.title)}</a></div>' for s in found)
    url = str(request.base_url)
    body = (
        f"<h1>Tramontane</h1><p>{escape(request.app.description)} As OpenAPI: "
        f'<a href="openapi.json">openapi.json</a>.</p><pre>{escape(TRY.format(url=url))}</pre>'
        f"<nav>{links}</nav>{''.join(map(_section, found))}"
    )
    head = f'<meta charset="utf-8">{VIEWPORT}<title>Tramontane</title><style>{STYLE}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
    return HTMLResponse(page)


def _section(section: Section) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{' (required)' if required else ''}</td>"
        f"<td>{_text(kind)}</td><td>{_text(said)}</td></tr>"
        for name, required, kind, said in section.rows
    )
    table = f"<table><tr><th>field<th>is<th>means</tr>{rows}</table>" if rows else ""
    codes = ", ".join(section.codes)
    return (
        f'<h2 id="{_anchor(section)}">{escape(section.title)}</h2><p>{_text(section.about)}</p>'
        f"{table}<p>Answers with {codes}.</p>"
    )


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _anchor(section: Section) -> str:
    return re.sub(r"\W+", "-", section.title.lower()).strip("-")
