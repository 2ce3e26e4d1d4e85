"""Types of request columns, and which event time a row has."""

from __future__ import annotations

import time
from typing import Any

import pytest

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
)
HEADER = header_of(
    [{"op": "numeric", "column": "x"}], signature=signature.Signature(INPUTS, outputs_of("binary")), label="y"
)
GOOD = {"x": 1.5, "n": 2, "s": "w", "t": "2013-01-01T00:00:00Z"}
MIDNIGHT = 1_356_998_400_000_000


def read(column: str | None = "t", **changes: Any) -> Any:
    batch = changes.pop("batch", {})
    row = {**GOOD, **changes}
    return Signature(HEADER, column).read(Batch({name: [value] for name, value in row.items()}, 1, **batch))


def test_good_rows_are_read_and_kept_as_they_were_sent() -> None:
    rows = read()
    assert rows.values == {"x": [1.5], "n": [2], "s": ["w"], "t": [MIDNIGHT]}
    assert rows.sent["t"] == ["2013-01-01T00:00:00Z"]
    assert read(n=2.0).values["n"] == [2]
    assert read(x=None, n=None, s=None, t=None).values == {"x": [None], "n": [None], "s": [None], "t": [None]}


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("x", "1.5", "number"),
        ("x", True, "number"),
        ("n", 2.5, "integer"),
        ("n", 1 << 63, "64 bits"),
        ("n", 1e30, "64 bits"),
        ("s", 3, "string"),
        ("t", 1.5, "ISO-8601"),
        ("t", "noon", "ISO-8601"),
        ("t", "2013-01-01T00:00:00", "offset"),
        ("t", 1 << 62, "range"),
    ],
)
def test_a_wrong_cell_is_named(column: str, value: Any, word: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(**{column: value})
    assert refused.value.place == f"instances[0].{column}"
    assert word in refused.value.rule


def test_the_event_time_is_that_of_the_label_then_the_rows_then_the_requests_then_now() -> None:
    both = {"event_times": [7], "event_time": 9}
    assert read(batch=both).event_times == [MIDNIGHT]
    assert read(t=None, batch=both).event_times == [7]
    assert read(column=None, batch=both).event_times == [7]
    assert read(t=None, batch={"event_times": [None], "event_time": 9}).event_times == [9]
    assert abs(read(t=None).event_times[0] - time.time() * 1e6) < 60e6
    with pytest.raises(RequestError) as refused:
        read(batch={"event_time": "soon"})
    assert refused.value.place == "event_time"
