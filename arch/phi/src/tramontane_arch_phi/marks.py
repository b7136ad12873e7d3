"""Marks of media with numbers, as prompts for Phi's models have them: <|image_1|>, <|audio_2|>."""

import re

NAMES = {"image": "images", "audio": "sounds"}


def without_numbers(text: str, kind: str, mark: str) -> str:
    """Marks may have numbers, as in the original; then they say where the media are, and the parts
    of messages only which they are. Raises ValueError for numbers that are not 1, 2, ..."""
    numbered = re.compile(rf"<\|{kind}_(\d+)\|>")
    numbers = [int(number) for number in numbered.findall(text)]
    if not numbers:
        return text
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(
            f"the text has marks of the {NAMES[kind]} {', '.join(map(str, numbers))}; number them "
            "from 1 in their order, or leave them out"
        )
    return numbered.sub(mark, re.sub(f"{re.escape(mark)}\n?", "", text))
