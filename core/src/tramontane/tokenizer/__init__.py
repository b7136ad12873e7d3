"""Text to token ids and back."""

from .detokenize import Detokenizer
from .files import from_folder
from .stop import StopMatcher
from .tokenizer import Tokenizer

__all__ = ["Detokenizer", "StopMatcher", "Tokenizer", "from_folder"]
