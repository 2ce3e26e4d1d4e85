"""Answers of KServe V1 and V2 from named outputs: numpy arrays with one row per prediction."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.recording import Outputs

PREDICTION: Final = "prediction"
#: V2 datatypes by numpy's kind and size; words are BYTES, spelled as JSON strings.
_DATATYPES: Final = {"f8": "FP64", "f4": "FP32", "i8": "INT64", "i4": "INT32", "b1": "BOOL"}


def v1_answer(batch: Batch, placement: Placement, outputs: Outputs, ids: list[str]) -> bytes:
    """A prediction is the value itself where `prediction` is the only output, else an object of all outputs."""
    if len(outputs) == 1 and PREDICTION in outputs:
        predictions: Any = _plain(outputs[PREDICTION])
    else:
        rows = zip(*(output.tolist() for output in outputs.values()), strict=True)
        predictions = [dict(zip(outputs, row, strict=True)) for row in rows]
    answer = {"predictions": predictions, "prediction_ids": ids, "model_version": placement.version}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def v2_answer(batch: Batch, placement: Placement, outputs: Outputs, ids: list[str]) -> bytes:
    """One tensor per output, row by row; only those that were asked for, where some were."""
    wanted = batch.outputs or outputs
    answer: dict[str, Any] = {
        "model_name": placement.deployment,
        "model_version": str(placement.version),
        "outputs": [_tensor(name, output) for name, output in outputs.items() if name in wanted],
        "parameters": {"prediction_ids": ids},
    }
    if batch.request_id is not None:
        answer["id"] = batch.request_id
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _tensor(name: str, output: npt.NDArray[Any]) -> dict[str, Any]:
    datatype = _DATATYPES.get(output.dtype.str[1:], "BYTES")
    return {"name": name, "datatype": datatype, "shape": list(output.shape), "data": _plain(output.reshape(-1))}


def _plain(output: npt.NDArray[Any]) -> Any:
    """What orjson writes: numbers as they lie in memory, words as strings."""
    return np.ascontiguousarray(output) if output.dtype.kind in "fib" else output.tolist()
