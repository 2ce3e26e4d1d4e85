"""JSON that an artifact may hold."""

from __future__ import annotations

import pytest

from capstan_formats.strict_json import MAX_DEPTH, JsonRuleError, need, read_json, read_object, write_json


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"NaN", "NaN is not"),
        (b"[-Infinity]", "-Infinity is not"),
        (b"1e400", "out of range"),
        (b'{"a":1,"b":{"c":1,"c":2}}', "'c' appears twice"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"", "not JSON"),
        (b"1 2", "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
    ],
)
def test_refused(text: bytes, says: str) -> None:
    with pytest.raises(JsonRuleError, match=says):
        read_json(text)


def test_depth_up_to_the_bound() -> None:
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_canonical() -> None:
    assert write_json({"b": 1.5, "a": ["é", None]}) == '{"a":["é",null],"b":1.5}'.encode()
    for bad in (float("inf"), object(), "\ud800"):
        with pytest.raises(JsonRuleError):
            write_json(bad)


def test_need_names_the_place() -> None:
    with pytest.raises(JsonRuleError, match="a.b must be int or null, not str"):
        need({"b": "x"}, "b", (int, type(None)), "a")
    with pytest.raises(JsonRuleError, match="b must be int, not bool"):
        need({"b": True}, "b", int)
    with pytest.raises(JsonRuleError, match="an object is needed, not list"):
        read_object(b"[]")
