"""The story: the loop goes round once on the flights of 2013. It knows the platform through its public clients only.

The same code plays against any target: a laptop's platform, or a cluster's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from capstan_client.cli.loop import hand_in
from capstan_client.sdk import Capstan, CapstanProblem
from capstan_client.sdk.lineage import trace
from capstan_client.sdk.recipe import resolve
from capstan_client.sdk.transport import poll
from capstan_contracts.ids import short
from capstan_contracts.loop import ResolvedLoop
from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_contracts.rest.monitoring import Window
from capstan_contracts.rest.training import RunRequest
from capstan_servicekit.errors import InvalidSpec
from demo.steps import Screen, Step, play
from demo.traffic import Answered, ask, questions

LOOP = "flight-delay"
TRAIN = ("2013-01", "2013-02", "2013-03")


@dataclass
class Plan:
    """What of the year is played."""

    recipe: Path
    data: Path
    broken: Path
    months: tuple[str, ...] = tuple(f"2013-{month:02d}" for month in range(4, 13))
    rows_per_month: int = 4000
    quiet_until: str = "2013-06"
    patience_s: float = 240


@dataclass
class Seen:
    """What later steps and the report need of earlier ones."""

    timeline: list[tuple[float, str]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    quality: list[Any] = field(default_factory=list)
    sample_prediction: str = ""
    champion: int = 0
    links: dict[str, str] = field(default_factory=dict)
    months_played: list[str] = field(default_factory=list)
    predictions: int = 0
    floor: float | None = None


class Story:
    """The steps, in order."""

    def __init__(self, capstan: Capstan, plan: Plan, screen: Screen) -> None:
        self.capstan, self.plan, self.screen = capstan, plan, screen
        self.seen = Seen()
        self.steps: list[Step] = []
        self._resolved: ResolvedLoop | None = None
        self._begun = asyncio.get_running_loop().time()

    async def tell(self) -> list[Step]:
        """Play all steps; StepFailed at the first that does not hold."""
        for name, expected, body in (
            ("apply the loop", "every service takes its part; applying again changes nothing", self._apply),
            ("months arrive", "three months committed; a broken one kept apart, mended and replayed", self._months),
            ("first champion", "features, training and gates by themselves; the champion serves", self._first),
            ("quiet months", "predictions over HTTP, labels later, live quality; no alarm", self._quiet),
            ("the season changes", "drift is detected with corrected figures, and reported", self._season),
            ("retrain by itself", "a run on complete labels passes the gates and serves", self._retrain),
            ("a sabotaged run", "trained on shuffled labels, refused with every gate's figures", self._sabotage),
            ("explain one prediction", "down to source files and rows; the ledger is intact", self._explain),
        ):
            await self._play(name, expected, body)
        return self.steps

    async def _play(self, name: str, expected: str, body: Callable[[Step], Awaitable[None]]) -> None:
        step = Step(name, expected)
        self.steps.append(step)
        try:
            await play(step, body, self.screen)
        finally:
            self.mark(f"{name}: {'done' if step.ok else 'failed'}")

    def mark(self, what: str) -> None:
        """Remember when something happened, in seconds since the story began."""
        self.seen.timeline.append((round(asyncio.get_running_loop().time() - self._begun, 1), what))

    # --- 2. the loop --------------------------------------------------------------------------------------------------

    async def _apply(self, step: Step) -> None:
        file = self.plan.recipe / "loop.yaml"
        self._resolved, _ = resolve(file)
        self.seen.floor = self._resolved.loop.spec.monitoring.drift.floor
        first = await hand_in(self.capstan, file)
        second = await hand_in(self.capstan, file)
        changes = [change for part in second.parts for change in part.changes]
        refused = self._refused_canary()
        step.check("every service took its part", first.applied or second.applied)
        step.check("applying again changes nothing", not changes and second.generation == first.generation)
        step.check("a canary is refused with a sentence", "not built yet" in refused)
        step.figures = {"generation": second.generation, "services": len(first.parts), "refusal": refused}
        step.observed = f"generation {second.generation} on {len(first.parts)} services; again: no change"

    def _refused_canary(self) -> str:
        assert self._resolved is not None
        text = (self.plan.recipe / "loop.yaml").read_text()
        draft = self.plan.recipe / "loop-with-canary.yaml"
        draft.write_text(text.replace("logFeatures: true", "logFeatures: true, canary: {steps: [5, 50]}"))
        try:
            resolve(draft)
        except InvalidSpec as error:
            return error.detail
        finally:
            draft.unlink()
        return ""

    # --- 3. data ------------------------------------------------------------------------------------------------------

    async def _months(self, step: Step) -> None:
        await self._commit("planes", self.plan.data / "planes" / "planes.parquet", "all")
        for month in TRAIN:
            await self._commit("weather", self._file("weather", month), month)
        good = await self._commit("flights", self._file("flights", TRAIN[0]), TRAIN[0])
        bad, column = await self._broken(step)
        mended = await self._send("flights", self._file("flights", TRAIN[1]), TRAIN[1], replaces=bad.id)
        last = await self._commit("flights", self._file("flights", TRAIN[2]), TRAIN[2])
        replaced = await self.capstan.ingestion.batch(bad.id)
        dataset = await self.capstan.ingestion.dataset("flights")
        manifest = await self.capstan.ingestion.version("flights", dataset.latest or "")
        rows = sum(batch.rows or 0 for batch in (good, mended, last))
        step.check("the mended month is committed", mended.state is BatchState.COMMITTED)
        step.check("the quarantined batch is marked replaced", replaced.state is BatchState.REPLACED)
        step.check("the version holds exactly the three good months", dataset.rows == rows == manifest.rows)
        step.check("the file without its column is refused", column.state is BatchState.QUARANTINED)
        step.figures |= {"version": short(manifest.version), "rows": dataset.rows, "files": len(manifest.files)}
        step.observed = (
            f"flights@{short(manifest.version)}: {dataset.rows:,} rows in {len(manifest.files)} files; "
            f"{step.figures['failing_rows']:,} failing rows kept apart"
        )

    async def _broken(self, step: Step) -> tuple[Batch, Batch]:
        bad = await self._send("flights", self.plan.broken / "broken.parquet", TRAIN[1])
        failing = await self.capstan.ingestion.failing_rows(bad.id)
        column = await self._send("flights", self.plan.broken / "missing-column.parquet", TRAIN[1])
        failed = [check for check in (bad.verdict.checks if bad.verdict else []) if check.outcome != "passed"]
        step.check("the broken month is quarantined", bad.state is BatchState.QUARANTINED)
        step.check("its failing rows are shown", failing.total > 0 and "_row" in failing.rows[0])
        for check in failed:
            self.screen.say(f"quarantined: {check.sentence}")
        step.figures |= {
            "failing_rows": failing.total,
            "first_failing_row": failing.rows[0] if failing.rows else None,
            "broken_rules": [check.sentence for check in failed],
        }
        return bad, column

    async def _send(self, dataset: str, file: Path, partition: str, replaces: str | None = None) -> Batch:
        self.screen.busy(f"{dataset} {partition}")
        content = await asyncio.to_thread(file.read_bytes)
        batch = await self.capstan.ingestion.upload(
            dataset, content, partition=partition, filename=file.name, replaces=replaces
        )
        return await self.capstan.ingestion.wait_for_batch(batch.id, timeout_s=self.plan.patience_s)

    async def _commit(self, dataset: str, file: Path, partition: str) -> Batch:
        batch = await self._send(dataset, file, partition)
        if batch.state is not BatchState.COMMITTED:
            rules = [check.sentence for check in (batch.verdict.checks if batch.verdict else []) if check.sentence]
            raise AssertionError(f"{dataset} {partition} is {batch.state.value}: {rules or batch.problem}")
        return batch

    def _file(self, dataset: str, month: str) -> Path:
        return self.plan.data / dataset / f"{month}.parquet"

    # --- 4. first champion --------------------------------------------------------------------------------------------

    async def _first(self, step: Step) -> None:
        runs = await self._until(self.capstan.training.runs, bool)
        run = await self.capstan.training.wait_for_run(runs[0].id, timeout_s=self.plan.patience_s)
        step.check("the run started by itself", run.reason == "first")
        step.check("the run succeeded", run.state.value == "succeeded")
        deployment = await self.serving(1)
        version = await self.capstan.registry.version(LOOP, deployment.model_version or 0)
        champion = await self.capstan.registry.champion(LOOP)
        entry = next(e for e in await self.capstan.registry.ledger(LOOP) if e.sequence == champion.ledger_sequence)
        step.check("the champion is what serves", deployment.package == champion.package == version.package)
        step.check("every gate passed", all(gate["passed"] is not False for gate in entry.gates))
        self.seen.champion = champion.version
        step.figures = {
            "metrics": run.metrics, "package": short(version.package), "gates": entry.gates, "run": run.id,
            "training_set": short(run.training_set or ""),
        }  # fmt: skip
        auc = run.metrics.get("auc", float("nan"))
        step.observed = f"version {champion.version} serves, holdout AUC {auc:.3f}, {len(entry.gates)} gates"

    async def serving(self, at_least: int) -> Any:
        async def look() -> Any:
            try:
                return await self.capstan.inference.deployment(LOOP)
            except CapstanProblem:
                return None

        def there(found: Any) -> bool:
            return found is not None and found.state == "serving" and (found.model_version or 0) >= at_least

        return await self._until(look, there)

    async def one_prediction(self) -> dict[str, Any]:
        """Ask for one flight."""
        resolved, _ = resolve(self.plan.recipe / "loop.yaml")
        columns = [column.name for column in resolved.definitions.service.request]
        rows = await asyncio.to_thread(questions, self._file("flights", TRAIN[-1]), columns, 1)
        return await self.capstan.model_server.predict(LOOP, rows[:1])

    # --- 5. and 6. traffic --------------------------------------------------------------------------------------------

    async def _quiet(self, step: Step) -> None:
        answered: list[Answered] = []
        for month in [month for month in self.plan.months if month <= self.plan.quiet_until]:
            answered.append(await self._month(month))
        end = datetime.fromisoformat(f"{self.plan.quiet_until}-01T00:00:00+00:00") + timedelta(days=29)
        windows = await self._closed(end)
        quality = await self._until(lambda: self.capstan.monitoring.quality(LOOP), lambda found: bool(found))
        monitor = await self.capstan.monitoring.monitor(LOOP)
        self.seen.sample_prediction = answered[-1].ids[len(answered[-1].ids) // 2]
        rows, seconds = sum(a.rows for a in answered), sum(a.seconds for a in answered)
        with_interval = [q for q in quality if q.value is not None and q.low is not None and q.high is not None]
        step.check(
            "every prediction came from the champion", {v for a in answered for v in a.versions} == {self.seen.champion}
        )
        step.check("every answered prediction is in the log", monitor.predictions >= rows)
        step.check("labels arrived and were joined", monitor.labelled > 0)
        step.check("live quality has a confidence interval", bool(with_interval))
        step.check("windows were judged", len(windows) >= 1 and all(w.state == "quiet" for w in windows))
        step.check("there was no alarm", not monitor.alarm)
        step.figures = {
            "predictions": rows, "rows_per_second": round(rows / seconds), "labelled": monitor.labelled,
            "unlabelled": monitor.unlabelled, "windows": [_window(w) for w in windows],
        }  # fmt: skip
        best = with_interval[0] if with_interval else None
        interval = f"AUC {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]" if best else "no quality"
        step.observed = f"{rows:,} predictions, {len(windows)} quiet windows, live {interval}"

    async def _season(self, step: Step) -> None:
        drifted: list[Window] = []
        for month in [month for month in self.plan.months if month > self.plan.quiet_until]:
            await self._month(month)
            windows = await self._settled()
            drifted = [window for window in windows if window.state == "drifted"]
            if drifted:
                break
        step.check("drift was detected", bool(drifted))
        if not drifted:
            return
        window = drifted[0]
        alarmed = [figure for figure in window.columns if figure.drifted]
        report = await self._until(lambda: self._report(window), bool)
        step.check(
            "columns with effect and corrected p are named", bool(alarmed) and all(f.adjusted_p < 0.05 for f in alarmed)
        )
        step.check("no seasonal column raised it", not any(figure.seasonal for figure in alarmed))
        step.check(
            "Evidently's report can be read", b"<html" in report[:2000].lower() or b"<!doctype" in report[:200].lower()
        )
        self.seen.links["report"] = window.report or ""
        step.figures = {"window": _window(window), "report_bytes": len(report)}
        named = ", ".join(f"{figure.column} (PSI {figure.effect:.2f})" for figure in alarmed[:4])
        step.observed = f"window {window.start:%d %b} to {window.end:%d %b}: {named}"

    async def _report(self, window: Window) -> bytes:
        try:
            return await self.capstan.monitoring.report(LOOP, window.start)
        except CapstanProblem:
            return b""

    async def _month(self, month: str) -> Answered:
        """Weather comes hour by hour; flights are asked at departure; the month's outcomes land afterwards."""
        await self._commit("weather", self._file("weather", month), month)
        await self._materialized("weather")
        assert self._resolved is not None
        self.screen.busy(f"asking for the flights of {month}")
        columns = [column.name for column in self._resolved.definitions.service.request]
        rows = await asyncio.to_thread(questions, self._file("flights", month), columns, self.plan.rows_per_month)
        answered = await ask(self.capstan, LOOP, rows)
        await self.capstan.inference.flush(LOOP)
        self.seen.predictions += answered.rows
        before = await self.capstan.monitoring.monitor(LOOP)
        await self._commit("flights", self._file("flights", month), month)
        await self._until(
            lambda: self.capstan.monitoring.monitor(LOOP),
            lambda found: found.predictions >= self.seen.predictions and found.labelled > before.labelled,
        )
        await self._materialized("flights")
        self.seen.months_played.append(month)
        self.mark(f"{month}: {answered.rows:,} predictions, outcomes known")
        rate = answered.rows / answered.seconds
        self.screen.say(f"{month}: {answered.rows:,} predictions at {rate:,.0f} rows/s, outcomes joined")
        return answered

    async def _materialized(self, dataset: str) -> None:
        """Wait until the online store has the newest version of a dataset."""
        latest = (await self.capstan.ingestion.dataset(dataset)).latest

        def fresh(views: Any) -> bool:
            mine = [view for view in views if view.spec.dataset == dataset]
            return bool(mine) and all(view.dataset_version == latest for view in mine)

        await self._until(self.capstan.features.views, fresh)

    async def _closed(self, end: datetime) -> list[Window]:
        """Windows that end by `end`, judged."""
        await self.capstan.monitoring.advance(LOOP, end)
        return [window for window in await self._settled() if window.end <= end.astimezone(UTC)]

    async def _settled(self) -> list[Window]:
        """All windows once every one that is over has been judged."""

        async def look() -> tuple[Any, list[Window]]:
            return await self.capstan.monitoring.monitor(LOOP), await self.capstan.monitoring.windows(LOOP)

        def judged(found: tuple[Any, list[Window]]) -> bool:
            monitor, windows = found
            over = [window for window in windows if monitor.watermark and window.end <= monitor.watermark]
            return all(window.state not in ("open", "evaluating") for window in over)

        _, windows = await self._until(look, judged)
        self.seen.windows = windows
        return windows

    # --- 7. retrain and sabotage --------------------------------------------------------------------------------------

    async def _retrain(self, step: Step) -> None:
        done = {"promoted", "refused", "failed", "withheld"}
        retrains = await self._until(
            lambda: self.capstan.monitoring.retrains(LOOP), lambda found: any(r.state in done for r in found)
        )
        retrain = next(one for one in reversed(retrains) if one.state in done)
        step.check("the retrain was asked for by monitoring and promoted", retrain.state == "promoted")
        run = await self.capstan.training.run(retrain.run or "")
        deployment = await self.serving(self.seen.champion + 1)
        champion = await self.capstan.registry.champion(LOOP)
        step.check("the run names drift as its reason", run.reason == "drift")
        step.check(
            "it was pinned to the version whose labels are complete", run.dataset_version == retrain.dataset_version
        )
        step.check("the new champion serves", deployment.model_version == champion.version > self.seen.champion)
        entry = next(e for e in await self.capstan.registry.ledger(LOOP) if e.sequence == champion.ledger_sequence)
        self.seen.champion = champion.version
        step.figures = {"run": run.id, "metrics": run.metrics, "gates": entry.gates, "evidence": retrain.evidence}
        versus = next((gate for gate in entry.gates if "champion" in gate["gate"].lower()), {"sentence": ""})
        step.observed = f"version {champion.version} serves; {versus['sentence']}"

    async def _sabotage(self, step: Step) -> None:
        request = RunRequest(loop=LOOP, parameters={"shuffle_labels": True})
        run = await self.capstan.training.start(request)
        run = await self.capstan.training.wait_for_run(run.id, timeout_s=self.plan.patience_s)

        async def decided() -> Any:
            versions = {v.run: v.version for v in await self.capstan.registry.versions(LOOP)}
            entries = await self.capstan.registry.ledger(LOOP)
            return next((entry for entry in entries if entry.version == versions.get(run.id)), None)

        entry = await self._until(decided, lambda found: found is not None)
        champion = await self.capstan.registry.champion(LOOP)
        failed = [gate for gate in entry.gates if gate["passed"] is False]
        step.check("the run itself succeeded", run.state.value == "succeeded")
        step.check("the gates refused it", entry.decision == "refused" and bool(failed))
        step.check("every gate has a sentence with its figures", all(gate["sentence"] for gate in entry.gates))
        step.check("the champion stayed", champion.version == self.seen.champion)
        for gate in failed:
            self.screen.say(f"refused: {gate['sentence']}")
        step.figures = {"gates": entry.gates, "ledger_sequence": entry.sequence}
        step.observed = f"version {entry.version} refused by {len(failed)} of {len(entry.gates)} gates"

    # --- 8. lineage ---------------------------------------------------------------------------------------------------

    async def _explain(self, step: Step) -> None:
        found = await trace(self.capstan, self.seen.sample_prediction)
        verified = await self.capstan.registry.verify_ledger()
        then = await self.capstan.registry.champion(LOOP, found.prediction.answered_at)
        explained = [origin for origin in found.features if origin.explanation and origin.explanation.rows]
        step.check("the id leads to version, run and dataset", found.run.id == found.version.run)
        step.check("source files and rows are named", bool(explained) and bool(found.dataset.files))
        step.check("the ledger names the same version for that moment", then.version == found.prediction.model_version)
        step.check("the ledger is intact", verified.intact and verified.entries >= 3)
        step.figures = {
            "prediction": found.prediction.prediction_id, "urns": found.urns,
            "files": [f"{file.source} ({file.rows:,} rows)" for file in found.dataset.files],
            "rows": [
                f"{row.dataset} {row.file} row {row.row}" for origin in explained for row in origin.explanation.rows[:1]
            ],
            "ledger_entries": verified.entries,
        }  # fmt: skip
        step.observed = f"{' <- '.join(found.urns[:3])}; ledger of {verified.entries} entries intact"

    async def _until(self, look: Callable[[], Awaitable[Any]], done: Callable[[Any], bool]) -> Any:
        return await poll(look, done, timeout_s=self.plan.patience_s, every_s=0.3)


def _window(window: Window) -> dict[str, Any]:
    return {
        "start": window.start.isoformat(), "end": window.end.isoformat(), "rows": window.rows, "state": window.state,
        "version": window.model_version,
        "columns": {
            figure.column: {"psi": round(figure.effect, 4), "p": figure.adjusted_p, "seasonal": figure.seasonal}
            for figure in window.columns
        },
    }  # fmt: skip
