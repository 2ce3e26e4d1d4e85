"""Compare a batch that passed with the other partitions of its dataset: a key stands in one row of a version."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import ManifestFile, Verdict
from capstan_ingestion.actions.fetch_files import fetch_files
from capstan_ingestion.actions.ports import Checked, Checker, RepeatedKeys
from capstan_ingestion.domain.keys import may_share_keys, must_be_unique, repeated_keys
from capstan_servicekit.objects.port import ObjectStore


class KeysRepeated(Exception):
    """The batch has keys of other partitions, and the dataset quarantines such: `checked` says so."""

    def __init__(self, checked: Checked) -> None:
        super().__init__("keys of other partitions")
        self.checked = checked


@dataclass(frozen=True)
class Compared:
    """The batch as it may be committed, and the files of the other partitions beside it.

    `apart`: the digests of files that were read and share no key with the batch; they never will.
    """

    checked: Checked
    others: list[ManifestFile]
    apart: frozenset[str] = frozenset()


class CompareKeys:
    """Reads the keys of files that may share one; which those are, the manifest tells."""

    def __init__(self, checker: Checker, objects: ObjectStore) -> None:
        self._checker, self._objects = checker, objects

    async def __call__(
        self,
        project: str,
        spec: DatasetSpec,
        checked: Checked,
        source: Path,
        others: list[ManifestFile],
        folder: Path,
        *,
        apart: Container[str] = frozenset(),
    ) -> Compared:
        """KeysRepeated where the dataset does not say that rows are replaced.

        Files whose digests are in `apart` are known to share no key with the batch and are not read.
        """
        unread = [file for file in others if file.sha256 not in apart]
        near = may_share_keys(spec, checked.event_time_min, checked.event_time_max, unread)
        if not near or not must_be_unique(spec):
            return Compared(checked, others)
        paths = await fetch_files(self._objects, project, spec.name, near)
        repeated = await self._checker.compare_keys(project, source, spec, paths, folder=folder)
        newly_apart = frozenset(file.sha256 for file in near if file.partition not in repeated.by_partition)
        if not repeated.rows:
            return Compared(checked, others, newly_apart)
        replaced = spec.on_repeated_keys == "replace"
        check = repeated_keys(
            spec,
            rows=repeated.rows,
            total=checked.verdict.rows,
            by_partition=repeated.by_partition,
            replaced=replaced,
        )
        verdict = checked.verdict
        verdict = Verdict(passed=replaced, rows=verdict.rows, engine=verdict.engine, checks=[*verdict.checks, check])
        if not replaced:
            raise KeysRepeated(
                replace(
                    checked,
                    verdict=verdict,
                    canonical=None,
                    failing_rows=repeated.failing_rows,
                    failing_total=repeated.rows,
                )
            )
        files = [await self._without(project, file, repeated) for file in others]
        return Compared(replace(checked, verdict=verdict), [file for file in files if file is not None], newly_apart)

    async def _without(self, project: str, file: ManifestFile, repeated: RepeatedKeys) -> ManifestFile | None:
        """The file without the rows that are replaced; None when no row is left."""
        left = repeated.left.get(file.partition)
        if left is None:
            return file
        if left.file is None:
            return None
        changes = {
            "sha256": await self._objects.put_file(project, left.file),
            "bytes": left.file.stat().st_size,
            "rows": left.rows,
            "event_time_min": left.event_time_min,
            "event_time_max": left.event_time_max,
        }
        return file.model_copy(update=changes)
