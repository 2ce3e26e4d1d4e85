"""What the champion gate found, as figures and as sentences."""

from __future__ import annotations

from datetime import datetime

from capstan_contracts.kinds.gate_figures import Compared, SeenRows
from capstan_contracts.kinds.gates import ChampionGate
from capstan_evaluation.compare import METHOD
from capstan_evaluation.noninferiority import Answer
from capstan_registry.gates.champion_match import Match
from capstan_registry.gates.evidence.contest import Rival
from capstan_registry.gates.evidence.learned import Learned


def compared(match: Match, resamples: int) -> Compared:
    """The figures of one comparison."""
    rival, result = match.rival, match.result
    figures: Compared = {
        "version": rival.version,
        "rows": result.rows,
        "left_out": rival.left_out,
        "from_others": rival.from_others,
        "seen": [_seen(learned) for learned in rival.seen],
        "candidate": match.comparison.candidate,
        "champion": match.comparison.champion,
        "difference": result.difference,
        "lower": result.lower,
        "upper": result.upper,
        "standard_error": result.standard_error,
        "margin": result.margin,
        "confidence": result.confidence,
        "answer": result.answer.value,
        "resamples": resamples,
        "undefined_resamples": match.comparison.undefined,
        "method": METHOD,
    }
    if rival.rows_from is not None and rival.rows_until is not None:
        figures["rows_from"], figures["rows_until"] = rival.rows_from.isoformat(), rival.rows_until.isoformat()
    if rival.not_joined:
        figures["not_joined"] = list(rival.not_joined)
    if result.rows_needed is not None:
        figures["rows_needed"] = result.rows_needed
    if result.rows_for_equal is not None:
        figures["rows_for_equal"] = result.rows_for_equal
    return figures


def described(metric: str, match: Match) -> str:
    """Both metrics, the rows, and what the rows show of the difference."""
    rival, comparison, result = match.rival, match.comparison, match.result
    without = f" Rows are missing: {'; '.join(rival.not_joined)}." if rival.not_joined else ""
    return (
        f"{metric} is {comparison.candidate:.4f}, that of the champion (version {rival.version}) is "
        f"{comparison.champion:.4f}, on {result.rows:,} rows{_times(rival)} {_unseen(rival)}. Candidate - champion, "
        f"more being better, is at least {result.lower:+.4f} and at most {result.upper:+.4f}, each with "
        f"{result.confidence:.0%} confidence; the margin is {result.margin:.4g}.{without}"
    )


def decided(spec: ChampionGate, match: Match, best: Match | None) -> str:
    """What follows from it, and from the best champion before."""
    answer = match.result.answer
    if answer is Answer.WORSE:
        return "It is worse than the champion by more than the margin."
    if answer is Answer.BETTER:
        return "It is better than the champion." + _better_still(best)
    if answer is Answer.TOO_FEW_ROWS:
        return _too_few(match, "the champion") + _worse_than(best)
    if best is None or best.result.answer in (Answer.BETTER, Answer.AS_GOOD):
        return {
            "newer": "As good as the champion, and `tieBreak: newer` takes the newer one.",
            "keep": "As good as the champion and not shown to be better, and `tieBreak: keep` keeps the champion.",
        }[spec.tie_break]
    if best.result.answer is Answer.WORSE:
        return "As good as the champion." + _worse_than(best)
    return f"As good as the champion; against {_before(best)}: {_too_few(best, 'it')}"


def _better_still(best: Match | None) -> str:
    if best is None or best.result.answer is not Answer.WORSE:
        return ""
    return f" Version {best.rival.version} is better still: {_gap(best)}."


def _worse_than(best: Match | None) -> str:
    """What refuses, whatever the rows show of the champion."""
    if best is None or best.result.answer is not Answer.WORSE:
        return ""
    return f" It is worse than {_before(best)}, by more than the margin: {_gap(best)}."


def _before(best: Match) -> str:
    return f"version {best.rival.version}, the best of the champions before"


def _too_few(match: Match, whom: str) -> str:
    """The third answer, and what would be needed for another one."""
    result, sentences = match.result, ["Too few rows to tell, so it does not pass"]
    if result.rows_for_equal is not None and result.rows_for_equal > result.rows:
        sentences.append(
            f"at the standard error of {result.standard_error:.4f} that was seen, a candidate equal to {whom} passes "
            f"against {whom} alone in 80 of 100 cases with {result.rows_for_equal:,} rows"
        )
    if result.rows_needed is not None:
        sentences.append(f"if the difference stays {result.difference:+.4f}, {result.rows_needed:,} rows tell")
    return "; ".join(sentences) + "."


def _gap(match: Match) -> str:
    return f"at most {match.result.upper:+.4f} with {match.result.confidence:.0%} confidence"


def _times(rival: Rival) -> str:
    if rival.rows_from is None or rival.rows_until is None:
        return ""
    return f" of {_day(rival.rows_from)} to {_day(rival.rows_until)}"


def _unseen(rival: Rival) -> str:
    unknown = [side for side in rival.seen if not side.known]
    if unknown:
        reasons = [f"what version {side.version} learned from is not known: {side.why}" for side in unknown]
        return f"({'; '.join(reasons)})"
    out, others = f"{rival.left_out:,} rows of the candidate's holdout are left out for that", f"{rival.from_others:,}"
    left_out = f"; {out}, {others} come from the champions'" if rival.left_out or rival.from_others else ""
    until = [f"version {side.version} up to {_day(side.until)}" for side in rival.seen if side.until is not None]
    return "that neither has learned" + (f" ({', '.join(until)}{left_out})" if until else left_out)


def _seen(learned: Learned) -> SeenRows:
    seen: SeenRows = {"version": learned.version, "known": learned.known}
    if learned.until is not None:
        seen["learned_until"] = learned.until.isoformat()
    if learned.why is not None:
        seen["why"] = learned.why
    return seen


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
