"""Texts that look like something else: numbers with a sign, times in another order. Nothing is read so in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from capstan_ingestion.domain.advice import advice_for, grouping_of, is_number, time_format_of

_NUMBER: Final = r"[+-]?\d[\d.,'’\u00a0\u202f ]*"
_PERCENT: Final = re.compile(rf"{_NUMBER}\s?%")
_MONEY: Final = re.compile(rf"(?:[$€£¥]|[A-Z]{{3}})\s?{_NUMBER}|{_NUMBER}\s?(?:[$€£¥]|[A-Z]{{3}})")
_SHARE: Final = 0.9
"""So many of a column's different texts have to be of a sort before it is said to look like that."""


@dataclass(frozen=True)
class _Sort:
    """What a text looks like, and what to do so that it is read as that."""

    noun: str
    remedy: str


_PLAIN: Final = _Sort("numbers", "")
_TEXT: Final = _Sort("text", "")


def looks_like(texts: Sequence[str]) -> str | None:
    """What a column with these (different) texts looks like, and what to set; None where it looks like text.

    All of them plain numbers are codes that somebody wrote as text on purpose: not told.
    """
    sorts = [_sort(text.strip()) for text in texts if text.strip()]
    if not sorts:
        return None
    counts = Counter(sorts)
    others = [text for text, sort in zip((t for t in texts if t.strip()), sorts, strict=True) if sort == _TEXT]
    if counts[_TEXT] > (1 - _SHARE) * len(sorts) or counts[_PLAIN] == len(sorts):
        return None
    common = next((sort for sort, _ in counts.most_common() if sort not in (_PLAIN, _TEXT)), None)
    if common is None:
        bad = others[0].strip()[:60]
        return f"looks like numbers but for {bad!r} and is stored as text: {advice_for(bad, 'float64')}"
    example = next(text for text in texts if text.strip() and _sort(text.strip()) == common)
    return f"looks like {common.noun} ({example.strip()[:60]!r}) and is stored as text: {common.remedy}"


def _sort(text: str) -> _Sort:
    keep = "or declare `string` under `columns` to keep it as it is"
    if is_number(text):
        return _PLAIN
    if _PERCENT.fullmatch(text):
        return _Sort("numbers with a percent sign", f"write them without the sign, {keep}")
    if _MONEY.fullmatch(text):
        return _Sort("amounts with a currency", f"write the currency into a column of its own, {keep}")
    grouping = grouping_of(text)
    if grouping is not None:
        return _Sort(
            "numbers", f"set `{grouping}` under `media` (of text files) and declare float64 or a decimal, {keep}"
        )
    form = time_format_of(text)
    if form is not None:
        return _Sort("times", f"set `timeFormat: {form!r}` under `media` (of text files) and declare timestamp, {keep}")
    return _TEXT
