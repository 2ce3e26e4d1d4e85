"""Keys are unique in a version: what becomes of a file with keys that rows of another partition have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult, ManifestFile
from capstan_ingestion.domain.contract import asks_unique, read_contract

UNIQUE_IN_VERSION: Final = "keys:unique-in-version"
"""The key of the check that says so."""

_SHOWN: Final = 3


def must_be_unique(spec: DatasetSpec) -> bool:
    """Whether the rule holds. Where the contract says how unique keys are, the contract decides, file by file."""
    return not asks_unique(read_contract(spec.contract), spec.keys)


def may_share_keys(
    spec: DatasetSpec, first: datetime | None, last: datetime | None, others: Sequence[ManifestFile]
) -> list[ManifestFile]:
    """Those of the `others` that may hold a key of this one, whose event times are `first` to `last`.

    Where the event time is a key, files of other times cannot; a dataset that grows by time is then not read again.
    """
    if spec.event_time not in spec.keys or first is None or last is None:
        return list(others)
    return [
        file
        for file in others
        if file.event_time_min is None
        or file.event_time_max is None
        or (file.event_time_min <= last and first <= file.event_time_max)
    ]


def repeated_keys(
    spec: DatasetSpec, *, rows: int, total: int, by_partition: Mapping[str, int], replaced: bool
) -> CheckResult:
    """The check that `rows` of `total` rows have a key that other partitions have, `by_partition` so many."""
    names = sorted(by_partition, key=lambda name: (-by_partition[name], name))
    where = ", ".join(f"{name!r} ({by_partition[name]:,})" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    keys = ", ".join(spec.keys)
    if replaced:
        text = f"{keys}: {rows:,} of {total:,} rows take the place of rows with the same key in partition {where}{more}"
    else:
        text = (
            f"{keys}: {rows:,} of {total:,} rows have a key that another partition has already: {where}{more}; send "
            "corrected rows under the name of their partition, or set `onRepeatedKeys: replace` on the dataset"
        )
    return CheckResult(
        key=UNIQUE_IN_VERSION,
        expectation="capstan:keys-unique-in-version",
        column=spec.keys[0] if len(spec.keys) == 1 else None,
        severity="info" if replaced else "critical",
        outcome="failed",
        failing_rows=rows,
        failing_share=rows / total if total else 0.0,
        sentence=text,
    )
