"""Where a column of a view's result comes from: through aliases, sub-queries and CTEs to the dataset's columns.

A result column is followed as long as it is a plain reference. It ends at an expression over the dataset's row, such as
`date_trunc('hour', observed_at)`; anything else (an aggregate, a window, a join of two sources) has no row of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from capstan_feature_store.jobs.sandbox import Connection, scalar

Node = dict[str, Any]
_ROW_ONLY = {"COLUMN_REF", "CONSTANT", "CAST", "FUNCTION", "OPERATOR", "CASE", "COMPARISON", "CONJUNCTION", "BETWEEN"}


@dataclass(frozen=True)
class _Query:
    """A query node and the CTEs that it can see."""

    node: Node
    tables: dict[str, Node]

    @classmethod
    def enter(cls, node: Node, tables: dict[str, Node]) -> _Query:
        seen = dict(tables)
        for entry in node.get("cte_map", {}).get("map", []):
            seen[entry["key"].lower()] = entry["value"]["query"]["node"]
        return cls(node, seen)


def origin_of(con: Connection, node: Node, dataset: str, column: str, have: dict[str, str]) -> str | None:
    """SQL over the dataset's table that gives a result column, or None. `have`: the dataset's columns, lower case."""
    expression = _follow(_Query.enter(node, {}), column, dataset.lower(), have)
    if expression is None or _functions(expression) & _aggregates(con):
        return None
    tree = {"error": False, "statements": [{"node": _bare_select({**expression, "alias": ""}), "named_param_map": []}]}
    text: str = scalar(con, "SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)])
    return text.removeprefix("SELECT ")


def _aggregates(con: Connection) -> set[str]:
    rows = con.execute("SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'").fetchall()
    return {row[0].lower() for row in rows}


def _functions(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _functions(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["function_name"].lower()} if value.get("class") == "FUNCTION" else set()
    return own.union(*(_functions(child) for child in value.values()))


def _follow(query: _Query, column: str, dataset: str, have: dict[str, str]) -> Node | None:
    node = query.node
    if node.get("type") != "SELECT_NODE":
        return None
    item = _selected(node, column)
    if item is None:
        return None
    source = node["from_table"]
    if source["type"] == "SUBQUERY":
        inner = _Query.enter(source["subquery"]["node"], query.tables)
    elif source["type"] == "BASE_TABLE" and (subquery := query.tables.get(source["table_name"].lower())) is not None:
        inner = _Query.enter(subquery, {k: v for k, v in query.tables.items() if v is not subquery})
    elif source["type"] == "BASE_TABLE" and source["table_name"].lower() == dataset:
        return item if _of_one_row(item) and _columns(item) <= set(have) else None
    else:
        return None
    if item["class"] != "COLUMN_REF":
        return None
    return _follow(inner, item["column_names"][-1], dataset, have)


def _selected(node: Node, column: str) -> Node | None:
    """The expression that a SELECT gives under a name; a star gives the column of that name."""
    name = column.lower()
    for item in node["select_list"]:
        own = item["column_names"][-1] if item["class"] == "COLUMN_REF" else ""
        if (item["alias"] or own).lower() == name:
            return dict(item)
    for item in node["select_list"]:
        if item["class"] == "STAR" and not item.get("replace_list") and not item.get("rename_list"):
            return {
                "class": "COLUMN_REF",
                "type": "COLUMN_REF",
                "alias": "",
                "query_location": 0,
                "column_names": [column],
            }
    return None


def _of_one_row(value: Any) -> bool:
    if isinstance(value, list):
        return all(_of_one_row(item) for item in value)
    if not isinstance(value, dict):
        return True
    if "class" in value and value["class"] not in _ROW_ONLY:
        return False
    return all(_of_one_row(child) for child in value.values())


def _columns(value: Any) -> set[str]:
    """Names of the columns in an expression; their table prefixes are taken off."""
    if isinstance(value, list):
        return {name for item in value for name in _columns(item)}
    if not isinstance(value, dict):
        return set()
    if value.get("class") == "COLUMN_REF":
        value["column_names"] = value["column_names"][-1:]
        return {value["column_names"][0].lower()}
    return {name for child in value.values() for name in _columns(child)}


def _bare_select(expression: Node) -> Node:
    empty = {"type": "EMPTY", "alias": "", "sample": None, "query_location": 0}
    return {
        "type": "SELECT_NODE", "modifiers": [], "cte_map": {"map": []}, "select_list": [expression],
        "from_table": empty, "where_clause": None,
        "group_expressions": [], "group_sets": [], "aggregate_handling": "STANDARD_HANDLING",
        "having": None, "sample": None, "qualify": None,
    }  # fmt: skip
