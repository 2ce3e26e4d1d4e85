"""What an ONNX model may hold: standard operators, and its weights within itself.

The numbers of fields are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Subgraphs and
functions are looked into as well: ONNX Runtime would open a path or an operator that only they name.
"""

from __future__ import annotations

from typing import Final

from capstan_engines.onnx.wire import WireError, fields

#: Domains of the operators that the ONNX standard defines; the first two name the same one.
STANDARD: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
#: ONNX Runtime guarantees opsets from this one on.
OLDEST_OPSET: Final = 7
MAX_DEPTH: Final = 32
_EXTERNAL: Final = 1

_Fields = dict[int, str]
#: For each message, the fields that hold other messages.
_INSIDE: Final[dict[str, _Fields]] = {
    "model": {7: "graph", 8: "opset", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "opset": {},
}


class OnnxModelError(ValueError):
    """The model holds what is not taken; `rule` is a stable word, the message a sentence."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


def check_model(data: bytes) -> None:
    """OnnxModelError for data outside the file, operators outside the standard, or an opset before the oldest."""
    try:
        _walk("model", memoryview(data), 0)
    except WireError as error:
        raise OnnxModelError("onnx", f"not an ONNX model: {error}") from None


def _walk(kind: str, message: memoryview, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise OnnxModelError("onnx", f"graphs nested deeper than {MAX_DEPTH} messages")
    inside, leaves = _INSIDE[kind], dict[int, int | memoryview]()
    for number, value in fields(message):
        if number in inside and isinstance(value, memoryview):
            _walk(inside[number], value, depth + 1)
        elif kind == "tensor":
            _refuse_external(number, value)
        else:
            leaves[number] = value
    if kind == "node":
        _check_domain(_text(leaves.get(7, 0)), f"the operator {_text(leaves.get(4, 0))!r} of")
    elif kind == "opset":
        _check_domain(_text(leaves.get(1, 0)), "operators of")
        _check_opset(_text(leaves.get(1, 0)), leaves.get(2, 0))


def _check_domain(domain: str, what: str) -> None:
    if domain not in STANDARD:
        detail = f"{what} the domain {domain!r}; only standard operators are run, export the model without it"
        raise OnnxModelError("custom-operator", detail)


def _check_opset(domain: str, version: int | memoryview) -> None:
    if domain in ("", "ai.onnx") and isinstance(version, int) and version < OLDEST_OPSET:
        detail = f"opset {version} of ai.onnx; opsets from {OLDEST_OPSET} on are run, export the model with a newer one"
        raise OnnxModelError("opset", detail)


def _refuse_external(number: int, value: int | memoryview) -> None:
    if number == 13 or (number == 14 and value == _EXTERNAL):
        detail = "a tensor lies in another file; save the model with all its data in one file"
        raise OnnxModelError("external-data", detail)


def _text(value: int | memoryview) -> str:
    return "" if isinstance(value, int) else bytes(value[:256]).decode("utf-8", "replace")
