"""The loop is applied, and months arrive: one of them broken, kept apart, mended and replayed."""

from __future__ import annotations

from capstan_client.cli.loop import hand_in
from capstan_client.sdk.recipe import resolve
from capstan_contracts.ids import short
from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_servicekit.errors import InvalidSpec
from demo.chapter import TRAIN, Chapter
from demo.steps import Step


class DataChapter(Chapter):
    """Apply, and ingest."""

    async def apply(self, step: Step) -> None:
        file = self.plan.recipe / "loop.yaml"
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
        text = (self.plan.recipe / "loop.yaml").read_text()
        draft = self.plan.recipe / "loop-with-canary.yaml"
        draft.write_text(text.replace("logFeatures: true", "logFeatures: true, canary: {steps: [5, 50]}"))
        try:
            resolve(draft)
        except InvalidSpec as error:
            return "; ".join(f"{broken.place}: {broken.rule}" for broken in error.errors)
        finally:
            draft.unlink()
        return ""

    async def months(self, step: Step) -> None:
        await self.commit("planes", self.plan.data / "planes" / "planes.parquet", "all")
        for month in TRAIN:
            await self.commit("weather", self.file("weather", month), month)
        good = await self.commit("flights", self.file("flights", TRAIN[0]), TRAIN[0])
        bad, column = await self._broken(step)
        mended = await self.send("flights", self.file("flights", TRAIN[1]), TRAIN[1], replaces=bad.id)
        last = await self.commit("flights", self.file("flights", TRAIN[2]), TRAIN[2])
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
        bad = await self.send("flights", self.plan.broken / "broken.parquet", TRAIN[1])
        failing = await self.capstan.ingestion.failing_rows(bad.id)
        column = await self.send("flights", self.plan.broken / "missing-column.parquet", TRAIN[1])
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
