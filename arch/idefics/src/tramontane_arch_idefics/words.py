"""Numbers as English words, as SmolVLM's prompts have them."""

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number_in_words(number: int) -> str:
    """Of 0 to 999,999: "one hundred and five", "two thousand, three hundred and one"."""
    if number < 20:
        return ONES[number]
    if number < 100:
        ten, one = TENS[number // 10 - 2], number % 10
        return f"{ten}-{ONES[one]}" if one else ten
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    whole, rest = divmod(number, size)
    words = f"{number_in_words(whole)} {name}"
    if not rest:
        return words
    return f"{words}{' and' if rest < 100 else ','} {number_in_words(rest)}"
