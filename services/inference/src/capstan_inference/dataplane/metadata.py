"""Answers that describe the server and its models, in the shapes of KServe V1 and V2."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from capstan_inference.dataplane.served import Served
from capstan_packages.signature import REQUEST, OutputField

#: Types of model.json as V2 datatypes; timestamps travel as ISO-8601 text.
DATATYPES: Final = {"float64": "FP64", "int64": "INT64", "string": "BYTES", "bool": "BOOL", "timestamp": "BYTES"}
_VERSION: Final = version("capstan-inference")


def server() -> dict[str, Any]:
    """`GET /v2`."""
    return {"name": "capstan", "version": _VERSION, "extensions": []}


def v1_status(served: Served) -> dict[str, Any]:
    """`GET /v1/models/{m}`."""
    return {"name": served.placement.deployment, "ready": True}


def v2_ready(served: Served) -> dict[str, Any]:
    """`GET /v2/models/{m}/ready`."""
    return {"name": served.placement.deployment, "ready": True}


def v2_model(served: Served) -> dict[str, Any]:
    """`GET /v2/models/{m}`: one tensor per request column; -1 stands for any number of rows."""
    header, placement = served.header, served.placement
    return {
        "name": placement.deployment,
        "versions": [str(placement.version)],
        "platform": f"capstan_{header.engine}",
        "inputs": [
            {"name": field.name, "datatype": DATATYPES[field.dtype], "shape": [-1]}
            for field in header.signature.inputs
            if field.source == REQUEST
        ],
        "outputs": [_output(field) for field in header.signature.outputs],
        "properties": {"package": placement.package, "revision": str(placement.revision)},
    }


def _output(field: OutputField) -> dict[str, Any]:
    shape = [-1] if field.width == 1 else [-1, field.width]
    return {"name": field.name, "datatype": DATATYPES[field.dtype], "shape": shape}
