"""The text of a view's SQL in its normal form: one space between tokens, no comments, no closing semicolon."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<gap>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<kept>[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|"(?:""|[^"])*"|\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    |\w+|.""",
    re.DOTALL | re.VERBOSE,
)


def normalise(sql: str) -> str:
    """`sql` with each run of white space and comments outside quotes as one space; what is quoted stays as it is.

    The normal form is what is checked, versioned and run, so that the three cannot differ.
    """
    pieces: list[str] = []
    for match in _TOKEN.finditer(sql):
        if match["gap"] is None:
            pieces.append(match[0])
        elif pieces and pieces[-1] != " ":
            pieces.append(" ")
    text = "".join(pieces).strip()
    while text.endswith(";"):
        text = text[:-1].rstrip()
    return text
