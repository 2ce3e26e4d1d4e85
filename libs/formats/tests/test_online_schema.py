"""Schemas, names of views and pointers are checked before a file name is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capstan_formats.online import OnlineColumn, OnlineReader, OnlineSchema, OnlineStoreError
from capstan_formats.online.store import pointer_path

SCHEMA = OnlineSchema(
    view="weather",
    version="ab" * 32,
    keys=(OnlineColumn("origin", "string"), OnlineColumn("time_hour", "timestamp")),
    columns=(OnlineColumn("temp", "float64"),),
    ttl_s=10,
)


@pytest.mark.parametrize("view", ["../weather", "", "Weather", "a/b", "a.b", "x" * 64])
def test_names_of_views(tmp_path: Path, view: str) -> None:
    with pytest.raises(OnlineStoreError, match="not the name of a view"):
        OnlineReader(tmp_path, view)
    with pytest.raises(OnlineStoreError, match="not the name of a view"):
        OnlineSchema(view, "v", SCHEMA.keys, ())


@pytest.mark.parametrize("name", ["../../etc/passwd", "weather.online", f"other.{'0' * 32}.online", ""])
def test_a_pointer_that_leads_elsewhere(tmp_path: Path, name: str) -> None:
    pointer_path(tmp_path, "weather").write_text(name)
    with pytest.raises(OnlineStoreError, match="not one of its files"):
        OnlineReader(tmp_path, "weather")


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": ()},
        {"keys": (OnlineColumn("x", "float64"),)},
        {"columns": (OnlineColumn("origin", "string"),)},
        {"ttl_s": 0},
    ],
)
def test_bad_schemas(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"view": "weather", "version": "v", "keys": SCHEMA.keys, "columns": SCHEMA.columns}
    with pytest.raises(OnlineStoreError):
        OnlineSchema(**(good | wrong))


@pytest.mark.parametrize("entry", [5, {"name": "x"}, {"name": "x", "dtype": "decimal"}, {"name": 5, "dtype": "bool"}])
def test_bad_schema_json(entry: Any) -> None:
    with pytest.raises(OnlineStoreError, match="damaged"):
        OnlineSchema.from_json({**SCHEMA.to_json(), "columns": [entry]})
    assert OnlineSchema.from_json(SCHEMA.to_json()) == SCHEMA
