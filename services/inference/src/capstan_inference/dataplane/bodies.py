"""Bodies of KServe V1 and V2 (Open Inference Protocol) requests as named columns; every refusal names its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from capstan_inference.dataplane.request_errors import MALFORMED_JSON, RequestError, wrong

EVENT_TIME: Final = "event_time"
MAX_EXTRA_COLUMNS: Final = 64
MAX_EXTRA_TEXT: Final = 1024
_INTEGERS = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
#: V2 datatype -> the Python types that its data may have.
_DATATYPES: Final[dict[str, frozenset[type]]] = {
    **{name: frozenset({int, type(None)}) for name in _INTEGERS},
    **{name: frozenset({int, float, type(None)}) for name in ("FP16", "FP32", "FP64")},
    "BOOL": frozenset({bool, type(None)}),
    "BYTES": frozenset({str, type(None)}),
}
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


@dataclass(slots=True)
class Batch:
    """The rows of one request: columns by name, equally long; event times as the caller wrote them."""

    columns: dict[str, list[Any]]
    rows: int
    v2: bool = False
    event_time: Any = None
    event_times: list[Any] | None = None
    request_id: str | None = None
    outputs: list[str] = field(default_factory=list)

    def place(self, column: str, row: int) -> str:
        """How the caller finds a cell in what was sent."""
        return f"inputs.{column}[{row}]" if self.v2 else f"instances[{row}].{column}"


def parse_json(body: bytes | bytearray) -> Any:
    """The body as JSON; NaN, infinities and numbers beyond float64 are refused."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        rest = bytes(body[max(error.pos - 1, 0) : error.pos + 9])
        rule = f"{error.msg} at character {error.pos}"
        hint = "Send null where there is no number." if b"NaN" in rest or b"Infinity" in rest else ""
        if hint:
            rule = f"NaN and Infinity are not JSON (character {error.pos})"
        place = f"body, character {error.pos}"
        raise RequestError(MALFORMED_JSON, rule, place=place, rule=rule, hint=hint) from None


def v1_batch(body: Any, names: Sequence[str], max_rows: int) -> Batch:
    """`{"instances": [{column: value} | [value, ...]]}`; `names` is the order of values in a list."""
    if type(body) is not dict:
        raise wrong("body", "an object with the member `instances` is needed")
    instances = body.get("instances")
    if type(instances) is not list or not instances:
        raise wrong("instances", "a list of at least one row is needed", 'Send {"instances": [{"column": value}]}.')
    rows = len(instances)
    if rows > max_rows:
        raise wrong("instances", f"at most {max_rows} rows in one request, not {rows}")
    columns = _columns_of(instances, names)
    parameters = _object(body, "parameters")
    event_time = body.get(EVENT_TIME, parameters.get(EVENT_TIME))
    event_times = columns.pop(EVENT_TIME, None) if EVENT_TIME not in names else None
    return Batch(columns, rows, event_time=event_time, event_times=event_times)


def v2_batch(body: Any, names: Sequence[str], max_rows: int) -> Batch:
    """`{"inputs": [{name, shape, datatype, data}]}`: one input per column, or one matrix of all of them."""
    if type(body) is not dict:
        raise wrong("body", "an object with the member `inputs` is needed")
    inputs = body.get("inputs")
    if type(inputs) is not list or not inputs:
        raise wrong("inputs", "a list of at least one tensor is needed")
    columns: dict[str, list[Any]] = {}
    rows = -1
    for index, tensor in enumerate(inputs):
        values, count = _tensor(tensor, f"inputs[{index}]", names, max_rows)
        if rows not in (-1, count):
            raise wrong(f"inputs[{index}].shape", f"all inputs have the same number of rows: {rows}, not {count}")
        if twice := columns.keys() & values.keys():
            raise wrong(f"inputs[{index}].name", f"the column {min(twice)!r} came before")
        rows = count
        columns |= values
    request_id = body.get("id")
    if request_id is not None and type(request_id) is not str:
        raise wrong("id", "a string is needed")
    event_times = columns.pop(EVENT_TIME, None) if EVENT_TIME not in names else None
    event_time = _object(body, "parameters").get(EVENT_TIME, body.get(EVENT_TIME))
    batch = Batch(columns, rows, True, event_time, event_times, request_id, _wanted(body))
    _complete(columns, names, rows, v2=True)
    return batch


def _columns_of(instances: list[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    kinds = set(map(type, instances))
    if kinds == {list}:
        return _positional(instances, names)
    if kinds != {dict}:
        row = next(
            i
            for i, instance in enumerate(instances)
            if type(instance) is not type(instances[0]) or type(instance) is not dict
        )
        raise wrong(f"instances[{row}]", "each row is an object of columns, or each is a list of values in order")
    try:
        columns = {name: [instance[name] for instance in instances] for name in names}
    except KeyError as error:
        missing = error.args[0]
        row = next(i for i, instance in enumerate(instances) if missing not in instance)
        raise wrong(
            f"instances[{row}].{missing}", "the column is missing", "Send null where it has no value."
        ) from None
    if max(map(len, instances)) == len(names):
        return columns
    extras = {name for instance in instances for name in instance} - columns.keys()
    for name in sorted(extras):
        columns[name] = [instance.get(name) for instance in instances]
    _check_extras(columns, extras, v2=False)
    return columns


def _positional(instances: list[list[Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    width = len(names)
    for row, values in enumerate(instances):
        if len(values) != width:
            rule = f"{width} values are needed ({', '.join(names)}), not {len(values)}"
            raise wrong(f"instances[{row}]", rule)
    return {name: [values[index] for values in instances] for index, name in enumerate(names)}


def _check_extras(columns: dict[str, list[Any]], extras: set[str], *, v2: bool) -> None:
    """Columns that the model does not read are logged: labels may be joined by them. So they are small and flat."""
    if len(extras) > MAX_EXTRA_COLUMNS:
        raise wrong(
            "inputs" if v2 else "instances", f"at most {MAX_EXTRA_COLUMNS} columns that the model does not read"
        )
    for name in extras:
        for row, value in enumerate(columns[name]):
            if type(value) not in _SCALARS or (type(value) is str and len(value) > MAX_EXTRA_TEXT):
                place = f"inputs.{name[:64]}[{row}]" if v2 else f"instances[{row}].{name[:64]}"
                raise wrong(place, f"a string of at most {MAX_EXTRA_TEXT} characters, number, bool or null is needed")


def _complete(columns: dict[str, list[Any]], names: Sequence[str], rows: int, *, v2: bool) -> None:
    for name in names:
        if name not in columns:
            raise wrong(f"inputs.{name}", "the column is missing", "Send null where it has no value.")
    if rows == 0:
        raise wrong("inputs", "at least one row is needed")
    _check_extras(columns, columns.keys() - set(names), v2=v2)


def _tensor(tensor: Any, place: str, names: Sequence[str], max_rows: int) -> tuple[dict[str, list[Any]], int]:
    name, shape, datatype, data = _members(tensor, place)
    rows, width = shape[0], shape[1] if len(shape) == 2 else 1
    if rows > max_rows:
        raise wrong(f"{place}.shape", f"at most {max_rows} rows in one request, not {rows}")
    cells = _flat(data, rows, width, place)
    allowed = _DATATYPES[datatype]
    if not set(map(type, cells)) <= allowed:
        index = next(i for i, cell in enumerate(cells) if type(cell) not in allowed)
        raise wrong(f"{place}.data[{index}]", f"{datatype} is needed, not {type(cells[index]).__name__}")
    if name in names or width == 1:
        if width != 1:
            raise wrong(f"{place}.shape", f"the column {name!r} has one value per row: [{rows}] or [{rows}, 1]")
        return {name: cells}, rows
    if width != len(names):
        raise wrong(f"{place}.shape", f"a matrix has {len(names)} columns ({', '.join(names)}), not {width}")
    return {column: cells[index::width] for index, column in enumerate(names)}, rows


def _members(tensor: Any, place: str) -> tuple[str, list[int], str, list[Any]]:
    if type(tensor) is not dict:
        raise wrong(place, "an object with name, shape, datatype and data is needed")
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    if type(name) is not str or not name:
        raise wrong(f"{place}.name", "a string is needed")
    if type(datatype) is not str or datatype not in _DATATYPES:
        raise wrong(f"{place}.datatype", f"one of {', '.join(sorted(_DATATYPES))} is needed")
    if type(shape) is not list or not 1 <= len(shape) <= 2 or any(type(n) is not int or n < 0 for n in shape):
        raise wrong(f"{place}.shape", "[rows] or [rows, columns] is needed")
    if type(data) is not list:
        raise wrong(f"{place}.data", "a list is needed")
    return name, shape, datatype, data


def _flat(data: list[Any], rows: int, width: int, place: str) -> list[Any]:
    """Row-major cells, from flat or nested data (the protocol allows both)."""
    cells = data
    if data and type(data[0]) is list:
        odd = next((i for i, row in enumerate(data) if type(row) is not list or len(row) != width), None)
        if odd is not None or len(data) != rows:
            raise wrong(f"{place}.data[{odd or 0}]", f"{rows} lists of {width} values are needed, as shape says")
        cells = [cell for row in data for cell in row]
    if len(cells) != rows * width:
        raise wrong(f"{place}.data", f"{rows * width} values are needed, as shape says, not {len(cells)}")
    return cells


def _object(body: dict[str, Any], member: str) -> dict[str, Any]:
    value = body.get(member)
    if value is None:
        return {}
    if type(value) is not dict:
        raise wrong(member, "an object is needed")
    return value


def _wanted(body: dict[str, Any]) -> list[str]:
    wanted = body.get("outputs") or []
    if type(wanted) is not list or any(
        type(output) is not dict or type(output.get("name")) is not str for output in wanted
    ):
        raise wrong("outputs", "a list of objects with a name is needed")
    return [output["name"] for output in wanted]
