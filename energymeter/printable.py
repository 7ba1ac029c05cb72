"""Text of others made safe to print: a name in a file must not move the cursor or retitle the terminal."""


def printable(text: str) -> str:
    """The text with everything that does not show written as an escape.

    Control characters, half surrogates (which cannot be encoded) and marks that turn the reading direction
    are among it.

    >>> printable("um25c \\x1b[2J")
    'um25c \\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
