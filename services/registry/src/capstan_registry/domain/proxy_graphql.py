"""Which GraphQL queries go on: those whose ids all stand in the variables, where they are looked for.

MLflow's own page sends four queries of this form (GetRun, MlflowGetExperimentQuery, SearchRuns,
GetMetricHistoryBulkInterval), each with one variable as its input. A query with values in its text is refused instead
of being parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_COMPONENT: Final = re.compile(r'@component\(name: "[\w.-]*"\)')
_TOKEN: Final = re.compile(r"\$?\w+|\.\.\.|\S")
_ROOTS: Final = frozenset(
    {"mlflowGetExperiment", "mlflowGetRun", "mlflowSearchRuns", "mlflowGetMetricHistoryBulkInterval"}
)
_ARGUMENT: Final = "input"


def refusal(body: Mapping[str, object]) -> str | None:
    """Why a query is refused; None when all that it names stands in `variables`."""
    query, variables = body.get("query"), body.get("variables")
    if not isinstance(query, str) or not isinstance(variables, Mapping):
        return "A GraphQL request needs a query and its variables"
    tokens = _TOKEN.findall(_COMPONENT.sub("", query))
    for before, token in zip(["", *tokens], tokens, strict=False):
        if token in ('"', "#", "=", "[") and not (token == "[" and before == ":"):
            return f"The query has {token!r} in its text"
        if token[0].isdigit():
            return "The query has a number in its text"
        if token.startswith("mlflow") and token not in _ROOTS:
            return f"The field {token!r} is not passed on"
    return _argument_refusal(tokens)


def _argument_refusal(tokens: list[str]) -> str | None:
    """Every root field has exactly `(input: $variable)`, and a variable stands nowhere else but in its definition."""
    for at, token in enumerate(tokens):
        if token in _ROOTS:
            given = tokens[at + 1 : at + 6]
            shaped = len(given) == 5 and given[:3] == ["(", _ARGUMENT, ":"] and given[3][0] == "$" and given[4] == ")"
            if not shaped:
                return f"The field {token!r} takes its input from a variable"
        if token[0] == "$":
            used = at > 3 and tokens[at - 3 : at] == ["(", _ARGUMENT, ":"] and tokens[at - 4] in _ROOTS
            if not used and tokens[at + 1 : at + 2] != [":"]:
                return f"The variable {token!r} is not the input of a field"
    return None
