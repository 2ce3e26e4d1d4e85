"""Compare a batch that passed with the other partitions of its dataset: a key stands in one row of a version."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Manifest, ManifestFile, Verdict
from capstan_ingestion.actions.ports import Checked, Checker
from capstan_ingestion.domain.keys import may_share_keys, must_be_unique, repeated_keys
from capstan_servicekit.objects.port import ObjectStore


class KeysRepeated(Exception):
    """The batch has keys of other partitions, and the dataset quarantines such: `checked` says so."""

    def __init__(self, checked: Checked) -> None:
        super().__init__("keys of other partitions")
        self.checked = checked


@dataclass(frozen=True)
class Shortened:
    """A file of another partition without the rows that the batch replaces; no file where none is left."""

    before: ManifestFile
    file: ManifestFile | None
    source: Path | None


@dataclass(frozen=True)
class Compared:
    """The batch as it may be committed, and the files of other partitions that it changes."""

    checked: Checked
    shortened: list[Shortened] = field(default_factory=list)


class CompareKeys:
    """Reads the keys of files that may share one; which those are, the manifest tells."""

    def __init__(self, checker: Checker, objects: ObjectStore) -> None:
        self._checker, self._objects = checker, objects

    async def __call__(
        self,
        project: str,
        partition: str,
        spec: DatasetSpec,
        checked: Checked,
        source: Path,
        head: Manifest | None,
        folder: Path,
    ) -> Compared:
        """KeysRepeated where the dataset does not say that rows are replaced."""
        if head is None or not must_be_unique(spec):
            return Compared(checked)
        near = may_share_keys(spec, partition, checked.event_time_min, checked.event_time_max, head.files)
        if not near:
            return Compared(checked)
        others = {file.partition: await self._objects.local_path(project, file.sha256) for file in near}
        repeated = await self._checker.compare_keys(source, spec, others, folder=folder)
        if not repeated.rows:
            return Compared(checked)
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
        shortened = []
        for before in near:
            left = repeated.left.get(before.partition)
            if left is None:
                continue
            file = None
            if left.file is not None:
                times = {"event_time_min": left.event_time_min, "event_time_max": left.event_time_max}
                sha256 = await self._objects.put_file(project, left.file)
                size = left.file.stat().st_size
                changed = {"sha256": sha256, "bytes": size, "rows": left.rows, **times}
                file = before.model_copy(update=changed)
            shortened.append(Shortened(before, file, left.file))
        return Compared(replace(checked, verdict=verdict), shortened)
