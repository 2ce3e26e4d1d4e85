"""The part of a Loop that training takes: pipeline, label, features, code."""

from __future__ import annotations

from pathlib import PurePosixPath

from capstan_contracts.ids import short
from capstan_contracts.loop import FeatureDefinitions, ResolvedLoop, TrainingSpec
from capstan_contracts.parts import Part


class TrainingPart(Part):
    """What a run needs to know of its loop. `sources` are the other datasets that the looked-up views read."""

    loop: str
    dataset: str
    sources: tuple[str, ...]
    training: TrainingSpec
    definitions: FeatureDefinitions
    code: str

    @classmethod
    def of(cls, resolved: ResolvedLoop) -> TrainingPart:
        """Cut training's part out of the whole."""
        loop, definitions = resolved.loop, resolved.definitions
        looked_up = {lookup.view for lookup in definitions.service.lookups}
        read = {view.dataset for view in definitions.views if view.name in looked_up}
        return cls(
            loop=loop.metadata.name,
            dataset=loop.spec.dataset.name,
            sources=tuple(sorted(read - {loop.spec.dataset.name})),
            training=loop.spec.training,
            definitions=definitions,
            code=resolved.code,
        )

    @property
    def datasets(self) -> tuple[str, ...]:
        """The label dataset, then the others."""
        return (self.dataset, *self.sources)

    @property
    def pipeline_name(self) -> str:
        """`file.py:function` as the archive calls it."""
        file, _, function = self.training.pipeline.rpartition(":")
        return f"{PurePosixPath(file)}:{function}"


def changes(old: TrainingPart | None, new: TrainingPart) -> list[str]:
    """One sentence per difference; empty when nothing changes."""
    if old is None:
        return [f"training: {new.training.pipeline} learns {new.training.label!r}, code {short(new.code)}"]
    sentences = []
    if old.code != new.code:
        sentences.append(f"training: code {short(old.code)} becomes {short(new.code)}")
    before, after = old.training.model_dump(mode="json"), new.training.model_dump(mode="json")
    for key in after:
        if before.get(key) != after[key]:
            sentences.append(f"training: {key} {before.get(key)!r} becomes {after[key]!r}")
    if old.datasets != new.datasets:
        sentences.append(f"training: datasets {', '.join(old.datasets)} become {', '.join(new.datasets)}")
    if old.definitions != new.definitions:
        sentences.append(f"training: the definitions of {new.definitions.service.name} change")
    return sentences
