"""What a gate is to the job that asks it."""

from __future__ import annotations

from typing import Any, Protocol

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gates import GateSpec
from capstan_registry.gates.evidence.evidence import Evidence, Need


class GateKind(Protocol):
    """One kind of gate. Stateless: an instance serves every promotion of a worker process, one at a time.

    `judge` gets the spec that `spec` parsed, hence Any here; each implementation names its own class.
    """

    @property
    def spec(self) -> type[GateSpec]:
        """The model of its spec, as in `capstan.specs.gates`."""
        ...

    def needs(self, spec: Any) -> frozenset[Need]:
        """The evidence that `judge` will read. Nothing else is made for it, and reading anything else is an error."""
        ...

    def columns(self, spec: Any) -> frozenset[str]:
        """Columns of the holdout that it reads besides the label and what the packages read."""
        ...

    def judge(self, evidence: Evidence, spec: Any) -> GateFigure:
        """The figure, with a sentence for people. `Unusable` refuses with its text as the reason.

        A gate that cannot judge leaves `passed` null and says with `not_judged` what that means: `allows`, `refuses`
        or `waits`. A promotion that is cancelled or times out ends the process: nothing needs to be undone here.
        """
        ...
