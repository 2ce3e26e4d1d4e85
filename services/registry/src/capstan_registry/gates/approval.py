"""A person has to say yes."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import ApprovalFigures
from capstan_contracts.kinds.gates import ApprovalGate
from capstan_registry.gates.evidence.evidence import Evidence, Need


class ApprovalKind:
    """Waits until a person has answered. Who may answer is held by the action that takes the answer."""

    spec = ApprovalGate

    def needs(self, spec: ApprovalGate) -> frozenset[Need]:
        """The answer."""
        return frozenset((Need.APPROVAL,))

    def columns(self, spec: ApprovalGate) -> frozenset[str]:
        """None: it reads no holdout."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: ApprovalGate) -> GateFigure:
        """`passed` is the answer; null and waiting while there is none. Figures as in ApprovalFigures."""
        given, asked = evidence.approval, evidence.requested_by
        figures: ApprovalFigures = {"requested_by": asked}
        if given is None:
            sentence = f"No person other than {asked!r} has approved yet: `capstan models approve` or `reject` answers."
            return GateFigure(
                gate=spec.title,
                kind=spec.kind,
                passed=None,
                not_judged="waits",
                figures=dict(figures),
                sentence=sentence,
            )
        figures |= {"by": given.by, "at": given.at.isoformat(), "reason": given.reason}
        verb = "approved" if given.approve else "rejected"
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=given.approve,
            figures=dict(figures),
            sentence=f"{given.by!r} {verb} it, asked for by {asked!r}: {given.reason}",
        )


APPROVAL = ApprovalKind()
