"""Candidate and champions on rows that neither of two has learned.

The rows come from the holdouts of all of them: a candidate that goes back to an older version is judged on what the
champion held out, and not on rows of its own holdout that the champion has been trained on since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capstan_evaluation.arrays import Floats
from capstan_evaluation.sample import Sample
from capstan_packages.models import ModelPackage
from capstan_registry.gates.evidence.case import Case, Contender
from capstan_registry.gates.evidence.holdout import pinned
from capstan_registry.gates.evidence.learned import Learned, Mask, first, last, learned, texts
from capstan_registry.jobs.scoring import ITEM_ID, Holdout, Unusable, open_holdout, open_package, scored


@dataclass(frozen=True, eq=False)
class Rival:
    """A champion, of now or of before, and the candidate on the rows that neither has learned."""

    version: int
    candidate: Sample
    champion: Sample
    holdout: Holdout
    left_out: int
    """Rows of the candidate's own holdout that one of the two has learned."""
    from_others: int
    """Rows that come from the holdouts of champions."""
    seen: tuple[Learned, Learned]
    """What candidate and champion had seen."""
    rows_from: datetime | None
    rows_until: datetime | None
    not_joined: tuple[str, ...] = ()
    """Holdouts of champions whose rows could not be used, and why."""


class Contest:
    """Makes rivals, each once; the packages of champions are opened here. Unusable says why there is none."""

    def __init__(self, case: Case, candidate: ModelPackage) -> None:
        self._case, self._candidate = case, candidate
        self._packages: dict[int, ModelPackage] = {}
        self._own, self._not_joined = 0, list[str]()
        self._pool = self._pooled()
        self._items = texts(self._pool.table.column(ITEM_ID))
        self._samples: dict[int, Sample] = {}
        self._seen = learned(case.candidate, self._items, case.event_time)

    @property
    def rows(self) -> Holdout:
        """The rows of all holdouts, those of the candidate first."""
        return self._pool

    @property
    def scores(self) -> dict[int, Floats]:
        """Predictions on all rows by version, of those that were scored so far."""
        return {version: sample.predictions for version, sample in self._samples.items()}

    def rival(self, contender: Contender, who: str) -> Rival:
        """One champion. Unusable: its package cannot be read or scored, or no row is left for the two."""
        champion = self._sample(self._opened(contender, who), contender.version, who)
        candidate = self._sample(self._candidate, self._case.candidate.version, "candidate")
        seen = learned(contender, self._items, self._case.event_time)
        fair: Mask = ~(self._seen.items | seen.items)
        if not fair.any():
            raise Unusable(
                f"no row is left to compare on: all {len(fair)} rows that version {self._case.candidate.version} and "
                f"version {contender.version} have held out were learned by one of the two"
                + "".join(f"; {reason}" for reason in self._not_joined)
            )
        rows = self._pool.take(fair)
        return Rival(
            version=contender.version,
            candidate=candidate.take(fair),
            champion=champion.take(fair),
            holdout=rows,
            left_out=int((~fair[: self._own]).sum()),
            from_others=int(fair[self._own :].sum()),
            seen=(self._seen, seen),
            rows_from=first(rows.table, self._case.event_time),
            rows_until=last(rows.table, self._case.event_time),
            not_joined=tuple(self._not_joined),
        )

    def _sample(self, package: ModelPackage, version: int, who: str) -> Sample:
        if version not in self._samples:
            self._samples[version] = scored(package, self._pool, who)
        return self._samples[version]

    def _opened(self, contender: Contender, who: str) -> ModelPackage:
        if contender.version not in self._packages:
            self._packages[contender.version] = open_package(contender.package, who)
        return self._packages[contender.version]

    def _pooled(self) -> Holdout:
        """The candidate's holdout, and of the others' what is not in it and has every column that it has."""
        case, wanted = self._case, {self._case.event_time, *self._case.columns}
        contenders = [contender for contender in (case.champion, *case.former) if contender is not None]
        for contender, who in zip(contenders, ("champion", *["former champion"] * len(case.former)), strict=False):
            try:
                wanted |= {field.name for field in self._opened(contender, who).header.signature.inputs}
            except Unusable:
                continue  # said when it is asked for
        wanted |= {field.name for field in self._candidate.header.signature.inputs}
        pool = open_holdout(pinned(case.candidate), self._candidate.header, wanted)
        self._own = pool.rows
        for contender in contenders:
            if "holdout" in contender.gone:
                self._not_joined.append(f"the holdout of version {contender.version} is gone")
            elif contender.holdout is not None and contender.holdout != case.candidate.holdout:
                pool = self._joined(pool, contender.version, contender.holdout, wanted)
        return pool

    def _joined(self, pool: Holdout, version: int, holdout: Path, wanted: set[str]) -> Holdout:
        """With the rows of another holdout that are new; without them, and with the reason, where that cannot be."""
        try:
            return _with_new_rows(pool, open_holdout(holdout, self._candidate.header, wanted))
        except (Unusable, pa.ArrowException) as error:
            self._not_joined.append(f"the holdout of version {version} cannot be joined: {error}")
            return pool


def _with_new_rows(pool: Holdout, other: Holdout) -> Holdout:
    """Unusable, ArrowException."""
    missing = sorted(set(pool.table.column_names) - set(other.table.column_names))
    if missing:
        raise Unusable(f"it lacks the column {missing[0]!r}")
    pool_ids = texts(pool.table.column(ITEM_ID))
    new = pc.invert(pc.is_in(texts(other.table.column(ITEM_ID)), value_set=pool_ids))
    return pool.with_rows(other.take(np.asarray(new.to_numpy(zero_copy_only=False), dtype=np.bool_)))
