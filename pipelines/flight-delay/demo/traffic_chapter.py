"""Months of questions over HTTP; outcomes land later; windows are judged, quiet ones and the one that drifts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from capstan_client.sdk import CapstanProblem
from capstan_contracts.rest.feature_store import View
from capstan_contracts.rest.monitoring import Monitor, Retrain, Window
from demo.chapter import LOOP, Chapter, window_figures
from demo.steps import Step
from demo.traffic import Answered, ask, questions


class TrafficChapter(Chapter):
    """Predict, label, watch."""

    async def quiet(self, step: Step) -> None:
        answered: list[Answered] = []
        for month in [month for month in self.plan.months if month <= self.plan.quiet_until]:
            answered.append(await self._month(month))
        end = datetime.fromisoformat(f"{self.plan.quiet_until}-01T00:00:00+00:00") + timedelta(days=29)
        windows = await self._closed(end)
        quality = await self.until(lambda: self.capstan.monitoring.quality(LOOP), lambda windows: bool(windows))
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
            "unlabelled": monitor.unlabelled, "windows": [window_figures(w) for w in windows],
        }  # fmt: skip
        best = with_interval[0] if with_interval else None
        interval = f"AUC {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]" if best else "no quality"
        step.observed = f"{rows:,} predictions, {len(windows)} quiet windows, live {interval}"

    async def season(self, step: Step) -> None:
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
        report = await self.until(lambda: self._report(window), bool)
        step.check(
            "columns with effect and corrected p are named", bool(alarmed) and all(f.adjusted_p < 0.05 for f in alarmed)
        )
        step.check("no seasonal column raised it", not any(figure.seasonal for figure in alarmed))
        step.check(
            "Evidently's report can be read", b"<html" in report[:2000].lower() or b"<!doctype" in report[:200].lower()
        )
        shown = next(listed for listed in await self.capstan.monitoring.windows(LOOP) if listed.start == window.start)
        self.seen.links["report"] = shown.report or ""
        step.check("the window names its report", bool(shown.report))
        step.figures = {"window": window_figures(window), "report_bytes": len(report)}
        named = ", ".join(f"{figure.column} ({figure.statistic} {figure.effect:.2f})" for figure in alarmed[:4])
        step.observed = f"window {window.start:%d %b} to {window.end:%d %b}: {named}"

    async def after(self, step: Step) -> None:
        """The month after the retrain is answered by the new champion, and its outcomes are joined."""
        left = [month for month in self.plan.months if month not in self.seen.months_played]
        answered = await self._month(left[0])
        quality = await self.until(
            lambda: self.capstan.monitoring.quality(LOOP),
            lambda windows: any(
                window.model_version == self.seen.champion and window.value is not None for window in windows
            ),
        )
        measured = [
            window for window in quality if window.model_version == self.seen.champion and window.value is not None
        ]
        best = max(measured, key=lambda window: window.labelled)
        step.check("every answer came from the new champion", answered.versions == {self.seen.champion})
        step.check("its live quality has a confidence interval", best.low is not None and best.high is not None)
        self.seen.sample_prediction = answered.ids[len(answered.ids) // 2]
        step.figures = {"predictions": answered.rows, "auc": best.value, "low": best.low, "high": best.high}
        retrains = await self._at_rest()
        step.figures["retrains"] = [f"{retrain.state}: {retrain.reason}" for retrain in retrains]
        interval = f"AUC {best.value:.3f} [{best.low or 0:.3f}, {best.high or 0:.3f}]"
        more = f"; the season goes on: {len(retrains)} retrains so far" if len(retrains) > 1 else ""
        step.observed = f"{left[0]}: {answered.rows:,} predictions by version {self.seen.champion}, {interval}{more}"

    async def _at_rest(self) -> list[Retrain]:
        """Wait until no retrain is under way: the loop may go round again by itself."""
        under_way = {"waiting", "requested", "running"}
        await self._settled()
        return await self.until(
            lambda: self.capstan.monitoring.retrains(LOOP),
            lambda retrains: not any(retrain.state in under_way for retrain in retrains),
        )

    async def _report(self, window: Window) -> bytes:
        try:
            return await self.capstan.monitoring.report(LOOP, window.start)
        except CapstanProblem:
            return b""

    async def _month(self, month: str) -> Answered:
        """Weather comes hour by hour; flights are asked at departure; the month's outcomes land afterwards."""
        await self.commit("weather", self.file("weather", month), month)
        await self._materialized("weather")
        self.screen.busy(f"asking for the flights of {month}")
        columns = [column.name for column in self.resolved.definitions.service.request]
        rows = await asyncio.to_thread(questions, self.file("flights", month), columns, self.plan.rows_per_month)
        answered = await ask(self.capstan, LOOP, rows)
        await self.capstan.inference.flush(LOOP)
        self.seen.predictions += answered.rows
        before = await self.capstan.monitoring.monitor(LOOP)
        await self.commit("flights", self.file("flights", month), month)
        await self.until(
            lambda: self.capstan.monitoring.monitor(LOOP),
            lambda monitor: monitor.predictions >= self.seen.predictions and monitor.labelled > before.labelled,
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

        def fresh(views: list[View]) -> bool:
            of_dataset = [view for view in views if view.spec.dataset == dataset]
            return bool(of_dataset) and all(view.dataset_version == latest for view in of_dataset)

        await self.until(self.capstan.features.views, fresh)

    async def _closed(self, end: datetime) -> list[Window]:
        """Windows that end by `end`, judged."""
        await self.capstan.monitoring.advance(LOOP, end)
        return [window for window in await self._settled() if window.end <= end.astimezone(UTC)]

    async def _settled(self) -> list[Window]:
        """All windows once every one that is over has been judged."""

        async def look() -> tuple[Monitor, list[Window]]:
            return await self.capstan.monitoring.monitor(LOOP), await self.capstan.monitoring.windows(LOOP)

        def judged(answer: tuple[Monitor, list[Window]]) -> bool:
            monitor, windows = answer
            over = [window for window in windows if monitor.watermark and window.end <= monitor.watermark]
            return all(window.state not in ("open", "evaluating") for window in over)

        _, windows = await self.until(look, judged)
        self.seen.windows = windows
        return windows
