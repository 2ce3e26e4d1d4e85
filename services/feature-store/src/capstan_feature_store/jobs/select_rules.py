"""What a view's SQL may be: exactly one SELECT that reads its dataset's table, by functions that always give the same.

The text is parsed by DuckDB itself (json_serialize_sql) and the tree is walked; nothing is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from capstan_feature_store.jobs.sandbox import Connection, scalar

Rule = str
MAX_LENGTH = 100_000
_SOURCES = {"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST"}
_CLOCKS = {
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user", "session_user",
    "user", "current_schema", "current_catalog", "current_role",
}  # fmt: skip


def parse(con: Connection, sql: str) -> tuple[dict[str, Any] | None, list[Rule]]:
    """(the query node, broken rules) of a text; the node is None when it is not one SELECT."""
    if len(sql) > MAX_LENGTH:
        return None, [f"at most {MAX_LENGTH} characters"]
    tree = json.loads(scalar(con, "SELECT json_serialize_sql(?::VARCHAR)", [sql]))
    if tree.get("error"):
        message = tree.get("error_message", "it cannot be parsed")
        if tree.get("error_type") == "not implemented":
            return None, ["exactly one SELECT, and no other statement"]
        return None, [f"must be valid SQL: {message} (character {tree.get('position', '?')})"]
    if len(tree["statements"]) != 1:
        return None, [f"exactly one SELECT, not {len(tree['statements'])} statements"]
    return tree["statements"][0]["node"], []


def breaches(con: Connection, sql: str, dataset: str) -> list[Rule]:
    """Broken rules of a view's SQL; empty when it may be run."""
    try:
        node, broken = parse(con, sql)
        if node is None:
            return broken
        broken = list(dict.fromkeys(_walk(node, dataset, frozenset(), _unsteady(con))))
    except RecursionError:
        return ["is nested less deeply"]
    if not broken and not _reads(node, dataset):
        broken.append(f"reads its dataset's table {dataset!r}")
    return broken


def _unsteady(con: Connection) -> frozenset[str]:
    """Functions whose value depends on more than their arguments, as DuckDB's own catalogue tells."""
    rows = con.execute("SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'").fetchall()
    return frozenset(row[0].lower() for row in rows) | {"nextval", "currval", "getvariable", "current_setting"}


def _walk(value: Any, dataset: str, scope: frozenset[str], unsteady: frozenset[str]) -> Iterator[Rule]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, dataset, scope, unsteady)
    if not isinstance(value, dict):
        return
    if "cte_name" in value:
        scope |= {value["cte_name"].lower()}
    for entry in value.get("cte_map", {}).get("map", []):
        yield from _walk(entry["value"], dataset, scope | {entry["key"].lower()}, unsteady)
        scope |= {entry["key"].lower()}
    yield from _node(value, dataset, scope, unsteady)
    for key, child in value.items():
        if key != "cte_map":
            yield from _walk(child, dataset, scope, unsteady)


def _node(node: dict[str, Any], dataset: str, scope: frozenset[str], unsteady: frozenset[str]) -> Iterator[Rule]:
    kind, source = str(node.get("type")), node.get("from_table")
    for side in (source, node.get("left"), node.get("right")):
        if isinstance(side, dict) and "alias" in side and "class" not in side and side.get("type") not in _SOURCES:
            what = side.get("function", {}).get("function_name") or str(side.get("type")).lower()
            yield f"reads tables, joins and sub-queries only, not {what}()"
    if kind == "BASE_TABLE":
        name = node["table_name"]
        prefix = [part for part in (node.get("catalog_name"), node.get("schema_name")) if part]
        if prefix or (name.lower() != dataset.lower() and name.lower() not in scope):
            yield f"reads only its dataset's table {dataset!r}, not {'.'.join([*prefix, name])!r}"
    if node.get("sample"):
        yield "takes no sample: the same data must give the same features"
    if kind in {"FUNCTION", "WINDOW_AGGREGATE"} and node.get("function_name", "").lower() in unsteady:
        yield f"{node['function_name']}() does not always give the same value"
    if kind == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0].lower() in _CLOCKS:
        yield f"{node['column_names'][0]} does not always give the same value"
    if kind in {"VALUE_PARAMETER", "PARAMETER"}:
        yield "has no parameters"


def _reads(value: Any, dataset: str) -> bool:
    if isinstance(value, list):
        return any(_reads(item, dataset) for item in value)
    if not isinstance(value, dict):
        return False
    if value.get("type") == "BASE_TABLE" and value["table_name"].lower() == dataset.lower():
        return True
    return any(_reads(child, dataset) for child in value.values())
