"""A model without a chat template: no guess is made, as a wrong one looks like a dull model."""

from __future__ import annotations

from typing import NoReturn

from tramontane.errors import NoTemplate


def no_template(model: str) -> NoReturn:
    """Raises NoTemplate that names the model and the two ways out."""
    raise NoTemplate(
        "this model has no chat template, so how to write a chat for it is unknown",
        hint=f"it is {model}: give a template with --chat-template FILE, or continue plain text"
        " with --no-template",
    )
