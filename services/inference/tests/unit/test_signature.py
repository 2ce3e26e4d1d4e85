"""Types of request columns, and which event time a row has."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from capstan_formats.instants import NULL_US
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.request_errors import RequestError
from capstan_inference.dataplane.signature import Signature
from capstan_packages import signature
from capstan_packages.signature import InputField, outputs_of
from capstan_testkit.packages import header_of

INPUTS = (
    InputField("x", "float64"),
    InputField("n", "int64"),
    InputField("s", "string"),
    InputField("t", "timestamp"),
    InputField("b", "bool"),
)
HEADER = header_of(
    [{"op": "numeric", "column": "x"}], signature=signature.Signature(INPUTS, outputs_of("binary")), label="y"
)
GOOD = {"x": 1.5, "n": 2, "s": "w", "t": "2013-01-01T00:00:00Z", "b": True}
MIDNIGHT = 1_356_998_400_000_000


def read(column: str | None = "t", **changes: Any) -> Any:
    batch = changes.pop("batch", {})
    row = {**GOOD, **changes}
    return Signature(HEADER, column).read(Batch({name: [value] for name, value in row.items()}, 1, **batch))


def test_good_rows_are_read_and_kept_as_they_were_sent() -> None:
    rows = read()
    assert rows.values == {"x": [1.5], "n": [2], "s": ["w"], "t": [MIDNIGHT], "b": [True]}
    assert rows.sent["t"] == ["2013-01-01T00:00:00Z"]
    assert read(n=2.0).values["n"] == [2]
    assert read(**dict.fromkeys(GOOD)).values == {name: [None] for name in GOOD}


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("x", "1.5", "number"),
        ("x", True, "number"),
        ("n", 2.5, "integer"),
        ("n", 1 << 63, "64 bits"),
        ("n", 1e30, "64 bits"),
        ("s", 3, "string"),
        ("b", 1, "true, false or null"),
        ("b", "true", "true, false or null"),
        ("t", 1.5, "ISO-8601"),
        ("t", "noon", "ISO-8601"),
        ("t", "2013-01-01T00:00:00", "offset"),
        ("t", "0001-01-01T00:00:00Z", "range"),
    ],
)
def test_a_wrong_cell_is_named(column: str, value: Any, word: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(**{column: value})
    assert refused.value.place == f"instances[0].{column}"
    assert word in refused.value.rule


@pytest.mark.parametrize("moment", [1_356_998_400, 1_356_998_400_000, 1_356_998_400_000_000, 1_356_998_400.0])
def test_a_number_is_no_point_in_time_because_its_unit_is_anybodys_guess(moment: float) -> None:
    for changes, place in (
        ({"t": moment}, "instances[0].t"),
        ({"t": None, "batch": {"event_time": moment}}, "event_time"),
        ({"t": None, "batch": {"event_times": [moment]}}, "instances[0].event_time"),
    ):
        with pytest.raises(RequestError) as refused:
            read(**changes)
        assert refused.value.place == place
        assert "an ISO-8601 string" in refused.value.rule
        assert 'to_json(date_format="iso")' in refused.value.hint


def test_columns_of_several_rows_are_converted_once() -> None:
    columns: dict[str, list[Any]] = {
        "x": [1, None, 2.5],
        "n": [1, 2.0, 3],
        "s": ["a", None, ""],
        "t": [GOOD["t"], None, GOOD["t"]],
        "b": [True, None, False],
    }
    rows = Signature(HEADER, None).read(Batch(columns, 3))
    assert np.array_equal(rows.arrays["x"], [1.0, np.nan, 2.5], equal_nan=True)
    assert rows.arrays["n"].tolist() == [1, 2, 3] and rows.arrays["n"].dtype == np.int64
    assert rows.instants["t"].astype(np.int64).tolist() == [MIDNIGHT, NULL_US, MIDNIGHT]
    assert rows.sent["t"] == columns["t"]
    holes = Signature(HEADER, None).read(Batch({**columns, "n": [(1 << 63) - 1, None, -(1 << 63)]}, 3))
    assert "n" not in holes.arrays and holes.values["n"] == [(1 << 63) - 1, None, -(1 << 63)]


def test_the_event_time_is_that_of_the_label_then_the_rows_then_the_requests_then_now() -> None:
    seventh, ninth = "1970-01-01T00:00:00.000007Z", "1970-01-01T00:00:00.000009Z"
    both = {"event_times": [seventh], "event_time": ninth}
    assert read(batch=both).event_times == [MIDNIGHT]
    assert read(t=None, batch=both).event_times == [7]
    assert read(column=None, batch=both).event_times == [7]
    assert read(t=None, batch={"event_times": [None], "event_time": ninth}).event_times == [9]
    assert abs(read(t=None).event_times[0] - time.time() * 1e6) < 60e6
    with pytest.raises(RequestError) as refused:
        read(batch={"event_time": "soon"})
    assert refused.value.place == "event_time"
