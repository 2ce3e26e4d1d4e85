"""Labels from outside the dataset: by prediction id, or by the dataset's keys."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import CursorResult, select, update

from capstan_contracts.errors import FieldError
from capstan_contracts.events import LabelsReceived
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.rest.monitoring import Label, LabelsRequest, LabelsResult
from capstan_monitoring.actions.know_task import KnowTask
from capstan_monitoring.actions.write_rows import CHUNK, Window, next_statement, write_labels
from capstan_monitoring.domain.join import key_of, prediction_key
from capstan_monitoring.domain.labels import LabelRule
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.work import WindowToMeasure
from capstan_monitoring.tables import ScoredRow, monitor_row
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import Invalid
from capstan_servicekit.work.queue import WorkQueue

MOST_ERRORS = 20


class ReceiveLabels:
    """All or none: one label that breaks a rule, and nothing is written."""

    def __init__(self, database: Database, clock: Clock, outbox: Outbox, work: WorkQueue, tasks: KnowTask) -> None:
        self._database, self._clock, self._outbox, self._work = database, clock, outbox, work
        self._tasks = tasks

    async def __call__(self, project: str, request: LabelsRequest, key: str | None) -> LabelsResult:
        """Write the labels, and give them to the predictions that are there; the others wait for theirs."""
        request_print = fingerprint("labels", request.model_dump_json())
        rule = await self._tasks.of_loop(project, request.loop)
        async with self._database.write() as session:
            if (known := await recall(session, project, key, request_print)) is not None:
                return LabelsResult.model_validate(known)
            monitor = await monitor_row(session, project, request.loop)
            by_key, by_id = _sorted_out(request.labels, MonitorPart.from_json(monitor.part), rule)
            joined, windows = await self._write(session, project, request.loop, by_key, by_id)
            received = len(request.labels)
            event = LabelsReceived(loop=request.loop, source="api", labels=received, joined=joined, unlabelled=0)
            self._outbox.add(session, event, project=project, subject=Urn(project, "loop", request.loop))
            cause = uuid7()
            for start, version in sorted(windows):
                measure = WindowToMeasure(request.loop, start, version, cause=cause)
                await self._work.add(session, measure, project=project)
            distinct = len(by_key) + len(by_id)
            result = LabelsResult(received=received, joined=joined, unknown=max(0, distinct - joined))
            remember(session, project, key, request_print, result.model_dump(mode="json"), self._clock.now())
        return result

    async def _write(
        self, session: WriteSession, project: str, loop: str, by_key: dict[str, float], by_id: dict[str, float]
    ) -> tuple[int, set[Window]]:
        joined, windows = 0, set[Window]()
        said = await next_statement(session, project, loop)
        pairs = list(by_key.items())
        for start in range(0, len(pairs), CHUNK):
            count, touched = await write_labels(session, project, loop, list(pairs[start : start + CHUNK]), None, said)
            joined, windows = joined + count, windows | touched
        ids = list(by_id.items())
        for start in range(0, len(ids), CHUNK):
            part = dict(ids[start : start + CHUNK])
            # Kept under the id as well, for a prediction whose segment has not come yet.
            kept = [(prediction_key(identity), value) for identity, value in part.items()]
            await write_labels(session, project, loop, list(kept), None, said)
            count, touched = await _by_id(session, project, loop, part)
            joined, windows = joined + count, windows | touched
        return joined, windows


async def _by_id(session: WriteSession, project: str, loop: str, labels: dict[str, float]) -> tuple[int, set[Window]]:
    of_loop = (ScoredRow.project == project, ScoredRow.loop == loop)
    touched = await session.execute(
        select(ScoredRow.window_start, ScoredRow.version)
        .where(*of_loop, ScoredRow.prediction_id.in_(labels))
        .distinct()
    )
    windows = {(start, version) for start, version in touched}
    joined = 0
    for value in set(labels.values()):
        ids = [identity for identity, label in labels.items() if label == value]
        result = await session.execute(
            update(ScoredRow).where(*of_loop, ScoredRow.prediction_id.in_(ids)).values(label=value, state="labelled")
        )
        joined += result.rowcount if isinstance(result, CursorResult) else 0
    return joined, windows


def _sorted_out(labels: list[Label], part: MonitorPart, rule: LabelRule) -> tuple[dict[str, float], dict[str, float]]:
    """Labels by join key and by prediction id; of two with the same key the last counts. Invalid names the places."""
    by_key: dict[str, float] = {}
    by_id: dict[str, float] = {}
    errors: list[FieldError] = []
    for index, label in enumerate(labels):
        place = f"labels[{index}]"
        if not rule.holds(label.value):
            errors.append(FieldError(place=f"{place}.value", rule=rule.sentence))
        elif (label.prediction_id is None) == (label.keys is None):
            errors.append(FieldError(place=place, rule="exactly one of prediction_id and keys"))
        elif label.prediction_id is not None:
            by_id[label.prediction_id] = label.value
        elif (key := _key(label.keys or {}, part)) is not None:
            by_key[key] = label.value
        else:
            times = f"; {', '.join(part.time_keys)} as ISO 8601" if part.time_keys else ""
            errors.append(FieldError(place=f"{place}.keys", rule=f"exactly {', '.join(part.keys)}, none null{times}"))
    if errors:
        raise Invalid(
            f"{errors[0].place}: {errors[0].rule}" + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""),
            errors=errors[:MOST_ERRORS],
            hint="Nothing was written: correct these labels and send all of them again.",
        )
    return by_key, by_id


def _key(keys: Mapping[str, object], part: MonitorPart) -> str | None:
    return key_of(keys, part.keys, part.time_keys) if set(keys) == set(part.keys) else None
