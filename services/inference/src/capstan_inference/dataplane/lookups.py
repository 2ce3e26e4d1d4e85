"""Feature lookup: views of the online store read by the keys that a request gives, judged at its event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from capstan_formats.epoch import datetime_of
from capstan_formats.online import (
    MISSING,
    Answer,
    Lookup,
    OnlineCodecError,
    OnlineSchema,
    OnlineStoreError,
    ViewNotMaterializedError,
    ViewRows,
    look_up,
)
from capstan_formats.preprocess import PreprocessError
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.online import Views
from capstan_inference.dataplane.request_errors import RequestError, wrong
from capstan_packages.fields import EntityLookup


@dataclass(slots=True)
class LookedUp:
    """What was looked up for the rows of a request: columns for the model, and what the log says of each row."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    times: dict[str, list[int | None]] = field(default_factory=dict)
    status: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    #: What each view was asked by: values per row by view and key, as the log has them.
    keys: dict[str, dict[str, list[Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A lookup fitted to one schema: key columns in the store's order, and where each value comes from."""

    schema: OnlineSchema
    keys: tuple[str, ...]
    times: tuple[bool, ...]  # whether a key is a timestamp
    stored: tuple[tuple[str, str], ...]  # column of the model, column of the store


@dataclass(frozen=True, slots=True)
class _Ask:
    """One view's part of a request: its keys, in the order of the plan."""

    plan: _Plan
    keys: list[tuple[Any, ...]]


class Lookups:
    """All lookups of one model."""

    def __init__(self, project: str, lookups: Sequence[EntityLookup], views: Views, counters: Counters) -> None:
        self._project, self._lookups, self._views, self._counters = project, tuple(lookups), views, counters
        self._plans: dict[str, _Plan] = {}

    def open(self) -> None:
        """Open what is there, so that the first request does not."""
        for lookup in self._lookups:
            try:
                self._views.schema(self._project, lookup.view)
            except OnlineStoreError:
                self._counters.lookup_errors += 1

    def find(self, values: Mapping[str, list[Any]], event_times: list[int]) -> LookedUp:
        """Read every view once for all rows. A view that cannot be read counts as missing, and is counted."""
        looked_up = LookedUp()
        asked = [self._ask(lookup, values, looked_up) for lookup in self._lookups]
        answers = self._answers(asked, values, looked_up)
        for lookup, ask, answer in zip(self._lookups, asked, answers, strict=True):
            rows, stored = self._judge(lookup, ask, answer, event_times)
            looked_up.times[lookup.view] = [row.event_ts for row in rows]
            looked_up.status[lookup.view] = [row.status.value for row in rows]
            for column, name in stored:
                looked_up.columns[column] = [None if row.values is None else row.values.get(name) for row in rows]
        return looked_up

    def _ask(self, lookup: EntityLookup, values: Mapping[str, list[Any]], looked_up: LookedUp) -> _Ask | None:
        """What to read of a view; None where there is nothing to be read."""
        try:
            schema = self._views.schema(self._project, lookup.view)
            plan = None if schema is None else self._plan(lookup, schema)
        except OnlineStoreError:
            self._counters.lookup_errors += 1
            return None
        if plan is None:
            return None
        looked_up.versions[lookup.view] = plan.schema.version
        columns = {key: _key_column(lookup, key, values) for key in plan.keys}
        looked_up.keys[lookup.view] = {
            key: _written(column) if is_time else column
            for (key, column), is_time in zip(columns.items(), plan.times, strict=True)
        }
        return _Ask(plan, list(zip(*columns.values(), strict=True)))

    def _answers(
        self, asked: list[_Ask | None], values: Mapping[str, list[Any]], looked_up: LookedUp
    ) -> list[Answer | None]:
        """One read for all views; again for a view that was defined anew in between, whose keys may differ."""
        answers: list[Answer | None] = list(self._get([(i, ask) for i, ask in enumerate(asked) if ask], len(asked)))
        again: list[tuple[int, _Ask]] = []
        for index, (ask, answer) in enumerate(zip(asked, answers, strict=True)):
            if ask is None or not isinstance(answer, ViewRows) or answer.schema == ask.plan.schema:
                continue
            asked[index] = renewed = self._ask(self._lookups[index], values, looked_up)
            answers[index] = None
            if renewed is not None:
                again.append((index, renewed))
        if again:
            for index, answer in enumerate(self._get(again, len(asked))):
                answers[index] = answers[index] if answer is None else answer
        return answers

    def _get(self, wanted: list[tuple[int, _Ask]], count: int) -> list[Answer | None]:
        answers: list[Answer | None] = [None] * count
        if wanted:
            reads = [(self._lookups[index].view, ask.keys) for index, ask in wanted]
            for (index, _), answer in zip(wanted, self._views.get(self._project, reads), strict=True):
                answers[index] = answer
        return answers

    def _judge(
        self, lookup: EntityLookup, ask: _Ask | None, answer: Answer | None, event_times: list[int]
    ) -> tuple[list[Lookup], tuple[tuple[str, str], ...]]:
        """Each row at its event time."""
        if isinstance(answer, OnlineCodecError):
            raise wrong(f"keys of view {lookup.view}", str(answer))
        if isinstance(answer, OnlineStoreError) and not isinstance(answer, ViewNotMaterializedError):
            self._counters.lookup_errors += 1
        if ask is not None and isinstance(answer, ViewRows):
            ttl = lookup.ttl_s
            try:
                rows = [look_up(row, at, ttl) for row, at in zip(answer.rows, event_times, strict=True)]
            except OnlineStoreError:
                self._counters.lookup_errors += 1
            else:
                return rows, ask.plan.stored
        return [MISSING] * len(event_times), _by_name(lookup)

    def _plan(self, lookup: EntityLookup, schema: OnlineSchema) -> _Plan:
        plan = self._plans.get(lookup.view)
        if plan is not None and plan.schema is schema:
            return plan
        keys = tuple(key.name for key in schema.keys)
        if set(keys) != set(lookup.keys):
            raise OnlineStoreError(f"view {lookup.view!r} is stored by {keys}, the model reads by {tuple(lookup.keys)}")
        names = {column.name for column in schema.columns}
        stored = []
        for column in lookup.columns:
            name = column if column in names else column.removeprefix(f"{lookup.view}__")
            stored.append((column, name))
        if lookup.version is not None and schema.version != lookup.version:
            self._counters.foreign_views += 1
        plan = self._plans[lookup.view] = _Plan(
            schema, keys, tuple(key.dtype == "timestamp" for key in schema.keys), tuple(stored)
        )
        return plan


def _written(times: list[Any]) -> list[Any]:
    """Points in time as the log has them, so that the feature store can explain the value by them."""
    return [_iso(part) if type(part) is int else part for part in times]


@lru_cache(maxsize=1024)
def _iso(us: int) -> str:
    return datetime_of(us).isoformat()


def _key_column(lookup: EntityLookup, key: str, values: Mapping[str, list[Any]]) -> list[Any]:
    try:
        return lookup.keys[key].derive(values)
    except PreprocessError as error:
        raise _refused(error) from None


def _refused(error: PreprocessError) -> RequestError:
    place = error.column or "instances"
    return wrong(place if error.row is None else f"instances[{error.row}].{place}", error.rule)


def _by_name(lookup: EntityLookup) -> tuple[tuple[str, str], ...]:
    return tuple((column, column) for column in lookup.columns)
