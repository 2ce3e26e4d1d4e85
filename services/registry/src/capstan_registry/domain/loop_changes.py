"""What applying a Loop changes in the registry's own part, and when it makes a new generation."""

from __future__ import annotations

from pydantic import ValidationError

from capstan_contracts.loop import ResolvedLoop
from capstan_registry.domain.ledger import canonical


def document(resolved: ResolvedLoop) -> dict[str, object]:
    """The stored form of a loop."""
    return resolved.model_dump(mode="json", by_alias=True)


def next_generation(stored: dict[str, object] | None, generation: int, wanted: dict[str, object]) -> int:
    """The generation of `wanted`: that of the stored content when nothing changed, else the following one."""
    if stored is not None and canonical(stored) == canonical(wanted):
        return generation
    return generation + 1


def own_changes(stored: dict[str, object] | None, wanted: ResolvedLoop) -> list[str]:
    """One sentence per change of the gates."""
    now = [gate.title for gate in wanted.loop.spec.gates]
    unlooked = ["nobody looks at quality (`quality: none`)"] if wanted.loop.spec.quality == "none" else []
    if stored is None:
        return [f"the loop is created with {len(now)} gates", *(f"gate is added: {name}" for name in now), *unlooked]
    try:
        old_spec = ResolvedLoop.model_validate(stored).loop.spec
    except ValidationError:
        # A gate of a distribution that is gone: the way out is to apply the loop without it.
        return ["the stored loop cannot be read any more, and is replaced", *(f"gate is added: {name}" for name in now)]
    before_specs = old_spec.gates
    before = [gate.title for gate in before_specs]
    changes = [f"gate is added: {name}" for name in now if name not in before]
    changes += [f"gate is removed: {name}" for name in before if name not in now]
    old = dict(zip(before, before_specs, strict=True))
    changes += [
        f"gate is changed: {name}"
        for name, gate in zip(now, wanted.loop.spec.gates, strict=True)
        if name in old and old[name] != gate
    ]
    return changes if old_spec.quality == wanted.loop.spec.quality else [*changes, *unlooked]
