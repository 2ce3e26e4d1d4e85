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
from capstan_registry.gates.evidence.champions import Champions
from capstan_registry.gates.evidence.learned import Learned, Mask, first, last, learned, texts
from capstan_registry.jobs.scoring import ITEM_ID, Holdout, Unusable, open_holdout, sampled, score, scored


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
    """Makes rivals, on rows that are read and scored once for all of them. Unusable says why there is none.

    `holdout` is the candidate's with the columns that champions read, `own` what the candidate predicts for its rows.
    """

    def __init__(
        self, case: Case, champions: Champions, candidate: ModelPackage, holdout: Holdout, own: Sample
    ) -> None:
        self._case, self._champions, self._candidate, self._own = case, champions, candidate, own
        self._not_joined: list[str] = []
        self._pool = self._pooled(holdout)
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

    def rival(self, contender: Contender) -> Rival:
        """One champion. Unusable: its package cannot be read or scored, or no row is left for the two."""
        package = self._champions.package(contender)
        seen = learned(contender, self._items, self._case.event_time)
        fair: Mask = ~(self._seen.items | seen.items)
        if not fair.any():
            raise Unusable(
                f"no row is left to compare on: all {len(fair)} rows that version {self._case.candidate.version} and "
                f"version {contender.version} have held out were learned by one of the two"
                + "".join(f"; {reason}" for reason in self._not_joined)
            )
        champion, candidate = self._of_champion(contender, package), self._of_candidate()
        rows, own = self._pool.take(fair), self._own.rows
        return Rival(
            version=contender.version,
            candidate=candidate.take(fair),
            champion=champion.take(fair),
            holdout=rows,
            left_out=int((~fair[:own]).sum()),
            from_others=int(fair[own:].sum()),
            seen=(self._seen, seen),
            rows_from=first(rows.table, self._case.event_time),
            rows_until=last(rows.table, self._case.event_time),
            not_joined=tuple(self._not_joined),
        )

    def _of_champion(self, contender: Contender, package: ModelPackage) -> Sample:
        """On all rows, also those that are not compared: the item-level table has them."""
        if contender.version not in self._samples:
            self._samples[contender.version] = scored(package, self._pool, self._champions.who(contender))
        return self._samples[contender.version]

    def _of_candidate(self) -> Sample:
        """On all rows, of which those of its own holdout are scored already."""
        version = self._case.candidate.version
        if version not in self._samples:
            predictions = self._own.predictions
            joined = np.arange(self._pool.rows) >= self._own.rows
            if joined.any():
                others = score(self._candidate, self._pool.take(joined), "candidate")
                predictions = np.concatenate([predictions, others])
            self._samples[version] = sampled(self._candidate, self._pool, predictions)
        return self._samples[version]

    def _pooled(self, pool: Holdout) -> Holdout:
        """The candidate's holdout, and of the others' what is not in it and has every column that it has."""
        for contender in self._champions.contenders:
            if "holdout" in contender.gone:
                self._not_joined.append(f"the holdout of version {contender.version} is gone")
            elif contender.holdout is not None and contender.holdout != self._case.candidate.holdout:
                pool = self._joined(pool, contender.version, contender.holdout)
        return pool

    def _joined(self, pool: Holdout, version: int, holdout: Path) -> Holdout:
        """With the rows of another holdout that are new; without them, and with the reason, where that cannot be."""
        try:
            return _with_new_rows(pool, open_holdout(holdout, self._candidate.header, pool.table.column_names))
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
