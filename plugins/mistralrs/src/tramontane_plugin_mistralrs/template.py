"""The chat template of `--tok-model-id`: a folder's, or a repository's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError

from .parse import Given
from .plan import Plan

FILES = ("chat_template.jinja", "tokenizer_config.json", "chat_template.json")
"""Where a template may be, in the order in which they are looked at."""


def template(given: Given, options: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The option of a template. What has to be fetched first is noted in the plan."""
    named = given.value("tok_model_id")
    if named is None or "chat_template" in options:
        return {}
    folder = Path(str(named)).expanduser()
    if folder.is_dir():
        found = next((folder / name for name in FILES if (folder / name).is_file()), None)
        return {} if found is None else {"chat_template": str(found)}
    from tramontane.hub import is_hub_id

    if not is_hub_id(str(named)):
        raise UsageError(f"-t {named}: there is no such folder, and it is not org/name")
    plan.template_of = str(named)
    return {}


def fetch(repository: str, token_source: str, cache: str | None) -> str | None:
    """The file with a repository's template, downloaded. None: it has none.

    Raises UsageError where it cannot be reached.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
    from tramontane.hub.token import read_token

    token = read_token(token_source).value
    for name in FILES:
        try:
            return str(hf_hub_download(repository, name, token=token, cache_dir=cache))
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError) as error:
            first = str(error).strip().splitlines()[0]
            raise UsageError(
                f"the chat template of {repository} cannot be fetched: {first}; without -t the "
                "template in the model's own file is used"
            ) from error
    return None
