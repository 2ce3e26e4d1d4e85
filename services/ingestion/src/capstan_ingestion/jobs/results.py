"""The result of one expectation, whoever evaluated it."""

from __future__ import annotations

from typing import Literal

from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain.contract import Expectation

Outcome = Literal["passed", "failed", "error"]


def result_of(expectation: Expectation, outcome: Outcome, failing: int, rows: int, sentence: str) -> CheckResult:
    """`failing` of `rows` rows broke it; 0 where it is about no single rows."""
    return CheckResult(
        key=expectation.key,
        expectation=expectation.type,
        column=expectation.column,
        severity=expectation.severity,
        outcome=outcome,
        failing_rows=failing,
        failing_share=failing / rows if rows else 0.0,
        sentence=sentence,
    )
