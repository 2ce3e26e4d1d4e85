"""values.yaml and values.schema.json of each chart, from the models."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from schema.base import Values
from schema.data import DevelopmentData
from schema.services import CHARTS, Service, Umbrella
from schema.settings import settings_schema

HEADER = "# Generated from charts/schema by `make charts`: change the models, not this file.\n"
WIDTH = 118
DEVELOPMENT_DATA = "k8s/dev"


def generated() -> dict[str, str]:
    """Content of each generated file, by its path in the repository."""
    files: dict[str, str] = {}
    for name, model in CHARTS.items():
        files[f"charts/{name}/values.yaml"] = values_yaml(model())
        files[f"charts/{name}/values.schema.json"] = schema_text(chart_schema(name, model))
    files["charts/capstan/values.yaml"] = values_yaml(Umbrella()) + _services_comment()
    files["charts/capstan/values.schema.json"] = schema_text(umbrella_schema())
    files[f"{DEVELOPMENT_DATA}/values.yaml"] = values_yaml(DevelopmentData())
    files[f"{DEVELOPMENT_DATA}/values.schema.json"] = schema_text(plain_schema(DevelopmentData))
    return files


def schema_text(schema: dict[str, Any]) -> str:
    """JSON as it is committed."""
    return json.dumps(schema, indent=1) + "\n"


def plain_schema(model: type[Values]) -> dict[str, Any]:
    """JSON schema of a values model, in the dialect that Helm reads."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_draft7(model.model_json_schema(by_alias=True))}


def chart_schema(name: str, model: type[Service]) -> dict[str, Any]:
    """Schema of one service chart; its settings are those of the service."""
    schema = plain_schema(model)
    own = schema["properties"]["settings"]
    schema["properties"]["settings"] = {"description": own["description"], **_draft7(settings_schema(name))}
    schema["properties"]["capstan-lib"] = {"type": "object", "description": "belongs to the library chart"}
    return schema


def umbrella_schema() -> dict[str, Any]:
    """Schema of the umbrella: its own values, and under each service's name those of its chart."""
    schema = plain_schema(Umbrella)
    definitions = schema["definitions"]
    for name, model in CHARTS.items():
        chart = chart_schema(name, model)
        definitions.update(chart.pop("definitions"))
        chart.pop("$schema")
        schema["properties"][name] = chart
    schema["properties"]["capstan-lib"] = {"type": "object", "description": "belongs to the library chart"}
    return schema


def _draft7(schema: Any) -> Any:
    """The same for draft 7, without titles. Nothing is required in a file of values: the rest has defaults."""
    if isinstance(schema, dict):
        return {
            "definitions" if key == "$defs" else key: _draft7(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str)) and not (key == "required" and isinstance(value, list))
        }
    if isinstance(schema, list):
        return [_draft7(one) for one in schema]
    return schema.replace("#/$defs/", "#/definitions/") if isinstance(schema, str) else schema


def values_yaml(values: Values) -> str:
    """The defaults as YAML, each with its description before it."""
    return HEADER + "\n".join(_lines(values, 0)) + "\n"


def _lines(values: Values, depth: int) -> Iterator[str]:
    for name, field in type(values).model_fields.items():
        yield from _comment(field, depth)
        yield from _entry(field.alias or name, getattr(values, name), depth)


def _comment(field: FieldInfo, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if field.description:
        for line in textwrap.wrap(field.description, WIDTH - len(indent) - 2):
            yield f"{indent}# {line}"


def _entry(name: str, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Values):
        yield f"{indent}{name}:"
        yield from _lines(value, depth + 1)
        return
    plain = _plain(value)
    if isinstance(plain, (dict, list)) and plain:
        yield f"{indent}{name}:"
        text = yaml.safe_dump(plain, sort_keys=False, width=WIDTH)
        yield from (f"{indent}  {line}" for line in text.rstrip().splitlines())
    else:
        yield f"{indent}{name}: {json.dumps(plain)}"


def _plain(value: Any) -> Any:
    if isinstance(value, Values):
        return value.model_dump(by_alias=True, mode="json", exclude_defaults=True)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def _services_comment() -> str:
    names = ", ".join(CHARTS)
    return (
        f"# Under the name of a service ({names}) stand the values of its chart;\n"
        "# see charts/<service>/values.yaml for what there is. For example:\n"
        "# inference:\n#   modelServers:\n#     replicas: 2\n"
    )
