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
_SIGNED_MONEY: Final = re.compile(rf"[$€£¥]\s?{_NUMBER}|{_NUMBER}\s?[$€£¥]")
_CODED_MONEY: Final = re.compile(rf"(?P<before>[A-Z]{{3}})\s?{_NUMBER}|{_NUMBER}\s?(?P<after>[A-Z]{{3}})")
_AMOUNT: Final = re.compile(r"[\s.,'’]")
_ISO_4217: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD "
    "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
_CURRENCIES: Final = frozenset(_ISO_4217.split())
"""Those that are legal tender; no metals, funds and test codes."""

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
    sorted_texts = [(text, _sort(text)) for text in map(str.strip, texts) if text]
    if not sorted_texts:
        return None
    counts = Counter(sort for _, sort in sorted_texts)
    if counts[_TEXT] > (1 - _SHARE) * len(sorted_texts) or counts[_PLAIN] == len(sorted_texts):
        return None
    common = next((sort for sort, _ in counts.most_common() if sort not in (_PLAIN, _TEXT)), _TEXT)
    example = next(text for text, sort in sorted_texts if sort == common)[:60]
    if common == _TEXT:
        return f"looks like numbers but for {example!r} and is stored as text: {advice_for(example, 'float64')}"
    return f"looks like {common.noun} ({example!r}) and is stored as text: {common.remedy}"


def _sort(text: str) -> _Sort:
    keep = "or declare `string` under `columns` to keep it as it is"
    if is_number(text):
        return _PLAIN
    if _PERCENT.fullmatch(text):
        return _Sort("numbers with a percent sign", f"write them without the sign, {keep}")
    if _is_money(text):
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


def _is_money(text: str) -> bool:
    """A number with a currency: its sign, or its code and what amounts have, a space, a point or groups of digits.

    Other letters before digits are codes of all sorts: UAL123 is a flight.
    """
    if _SIGNED_MONEY.fullmatch(text):
        return True
    match = _CODED_MONEY.fullmatch(text)
    if match is None:
        return False
    return (match["before"] or match["after"]) in _CURRENCIES and _AMOUNT.search(text) is not None
