"""Chat messages to a model's prompt."""

from .choose import choose_template
from .fallback import no_template
from .template import ChatTemplate

__all__ = ["ChatTemplate", "choose_template", "no_template"]
