"""How outputs look in answers of KServe V1 and V2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from capstan_inference.dataplane.answers import v1_answer, v2_answer
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement

PLACEMENT = Placement("default", "flowers", 4, 1, "0" * 64, Path("package"))
IDS = ["one", "two"]
SCALAR = {"prediction": np.array([0.25, np.nan])}
CLASSES = {
    "prediction": np.array(["rose", "tulip"]),
    "probabilities": np.array([[0.75, 0.25], [0.5, 0.5]]),
}
NUMBERED = {"prediction": np.array([3, 1]), "spread": np.array([1.5, 2.5])}


def v1(outputs: Any) -> Any:
    return json.loads(v1_answer(Batch({}, 2), PLACEMENT, outputs, IDS))


def v2(found: Any, **members: Any) -> Any:
    return json.loads(v2_answer(Batch({}, 2, v2=True, **members), PLACEMENT, found, IDS))


def test_v1_is_a_value_for_one_output_and_an_object_for_several() -> None:
    assert v1(SCALAR) == {"predictions": [0.25, None], "prediction_ids": IDS, "model_version": 4}
    assert v1({"prediction": np.array(["rose", "tulip"])})["predictions"] == ["rose", "tulip"]
    assert v1(CLASSES)["predictions"] == [
        {"prediction": "rose", "probabilities": [0.75, 0.25]},
        {"prediction": "tulip", "probabilities": [0.5, 0.5]},
    ]
    assert v1(NUMBERED)["predictions"] == [{"prediction": 3, "spread": 1.5}, {"prediction": 1, "spread": 2.5}]
    assert v1({"delay": np.array([1.0, 2.0])})["predictions"] == [{"delay": 1.0}, {"delay": 2.0}]


def test_v2_is_one_tensor_per_output_of_its_type() -> None:
    answer = v2(CLASSES, request_id="q")
    assert answer == {
        "model_name": "flowers",
        "model_version": "4",
        "outputs": [
            {"name": "prediction", "datatype": "BYTES", "shape": [2], "data": ["rose", "tulip"]},
            {"name": "probabilities", "datatype": "FP64", "shape": [2, 2], "data": [0.75, 0.25, 0.5, 0.5]},
        ],
        "parameters": {"prediction_ids": IDS},
        "id": "q",
    }
    tensors = {one["name"]: one for one in v2(NUMBERED)["outputs"]}
    assert tensors["prediction"] == {"name": "prediction", "datatype": "INT64", "shape": [2], "data": [3, 1]}
    assert tensors["spread"]["datatype"] == "FP64"
    strided = {"prediction": np.arange(8.0).reshape(2, 4)[:, 2]}
    assert v2(strided)["outputs"][0]["data"] == [2.0, 6.0]


def test_v2_answers_only_what_was_asked_for() -> None:
    assert [one["name"] for one in v2(CLASSES, outputs=["probabilities"])["outputs"]] == ["probabilities"]
