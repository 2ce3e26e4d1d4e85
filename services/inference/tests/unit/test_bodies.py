"""V1 and V2 bodies: what is taken, and which place breaks which rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from capstan_inference.dataplane.bodies import parse_json, v1_batch, v2_batch
from capstan_inference.dataplane.request_errors import INVALID_BODY, MALFORMED_JSON, RequestError

NAMES = ("a", "b")


def v1(body: Any, limit: int = 3) -> Any:
    return v1_batch(parse_json(json.dumps(body).encode()), NAMES, limit)


def v2(*inputs: Any, **members: Any) -> Any:
    return v2_batch({"inputs": list(inputs), **members}, NAMES, 3)


def tensor(name: str, data: Any, datatype: str = "FP64", shape: Any = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def test_v1_takes_objects_and_lists() -> None:
    assert v1({"instances": [{"a": 1, "b": None}, {"b": 2.5, "a": 3}]}).columns == {"a": [1, 3], "b": [None, 2.5]}
    assert v1({"instances": [[1, None], [3, 2.5]]}).columns == {"a": [1, 3], "b": [None, 2.5]}


def test_v1_keeps_small_extra_columns_and_takes_event_times_out() -> None:
    batch = v1(
        {
            "instances": [{"a": 1, "b": 2, "flight": 7, "event_time": 5}, {"a": 1, "b": 2, "event_time": None}],
            "event_time": "2013-01-01T00:00:00Z",
        }
    )
    assert batch.columns["flight"] == [7, None]
    assert "event_time" not in batch.columns
    assert (batch.event_time, batch.event_times) == ("2013-01-01T00:00:00Z", [5, None])


def test_v2_takes_columns_vectors_and_a_matrix() -> None:
    columns = v2(tensor("a", [1, 2]), tensor("b", ["x", None], "BYTES", [2, 1]), id="q", parameters={"event_time": 4})
    assert columns.columns == {"a": [1, 2], "b": ["x", None]}
    assert (columns.rows, columns.request_id, columns.event_time) == (2, "q", 4)
    nested = v2({"name": "input-0", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]})
    flat = v2({"name": "input-0", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]})
    assert nested.columns == flat.columns == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "body"),
        ({}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": {"a": 1}}, "instances"),
        ({"instances": [{"a": 1, "b": 2}] * 4}, "instances"),
        ({"instances": [{"a": 1, "b": 2}, {"a": 1}]}, "instances[1].b"),
        ({"instances": [{"a": 1, "b": 2}, [1, 2]]}, "instances[1]"),
        ({"instances": [7]}, "instances[0]"),
        ({"instances": [[1, 2], [1]]}, "instances[1]"),
        ({"instances": [{"a": 1, "b": 2, "c": {"deep": 1}}]}, "instances[0].c"),
        ({"instances": [{"a": 1, "b": 2, "c": "x" * 2000}]}, "instances[0].c"),
        ({"instances": [{"a": 1, "b": 2, **{f"x{i}": 1 for i in range(65)}}]}, "instances"),
        ({"instances": [{"a": 1, "b": 2}], "parameters": 3}, "parameters"),
    ],
)
def test_v1_names_the_place(body: Any, place: str) -> None:
    with pytest.raises(RequestError) as refused:
        v1(body)
    assert (refused.value.code, refused.value.place) == (INVALID_BODY, place)


@pytest.mark.parametrize(
    ("inputs", "place"),
    [
        ([], "inputs"),
        ([3], "inputs[0]"),
        ([tensor("a", [1])], "inputs.b"),
        ([tensor("a", [1]), tensor("b", [1, 2])], "inputs[1].shape"),
        ([tensor("a", [1]), tensor("a", [1])], "inputs[1].name"),
        ([tensor("a", [1, 2], shape=[3]), tensor("b", [1])], "inputs[0].data"),
        ([tensor("a", [1], "FP65")], "inputs[0].datatype"),
        ([tensor("a", [1], shape=[1, 1, 1])], "inputs[0].shape"),
        ([tensor("a", [1], shape=[-1])], "inputs[0].shape"),
        ([tensor("a", [True], shape=[True])], "inputs[0].shape"),
        ([tensor("a", [1, 2], shape=[1, 2])], "inputs[0].shape"),
        ([tensor("a", [1] * 4)], "inputs[0].shape"),
        ([tensor("a", ["1"])], "inputs[0].data[0]"),
        ([tensor("a", [1.5], "INT64")], "inputs[0].data[0]"),
        ([tensor("a", [1], "BOOL")], "inputs[0].data[0]"),
        ([tensor("m", [1, 2, 3], shape=[1, 3])], "inputs[0].shape"),
        ([tensor("m", [[1, 2], [3]], shape=[2, 2])], "inputs[0].data[1]"),
        ([{"name": "a", "shape": [1], "datatype": "FP64"}], "inputs[0].data"),
        ([{"shape": [1], "datatype": "FP64", "data": [1]}], "inputs[0].name"),
    ],
)
def test_v2_names_the_place(inputs: Any, place: str) -> None:
    with pytest.raises(RequestError) as refused:
        v2(*inputs)
    assert (refused.value.code, refused.value.place) == (INVALID_BODY, place)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "empty"),
        (b"{", "end of data"),
        (b'{"instances": [{"a": NaN}]}', "NaN and Infinity are not JSON"),
        (b'{"instances": [{"a": -Infinity}]}', "NaN and Infinity are not JSON"),
        (b'{"instances": [{"a": 1e999}]}', "infinity"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 5000, "depth"),
    ],
)
def test_what_is_not_json(text: bytes, rule: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_json(text)
    assert refused.value.code == MALFORMED_JSON
    assert rule in refused.value.rule
    assert "character" in refused.value.place
