"""Small pictures as SVG: lines over windows, with intervals, a bound and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 240, 48, 36, 14
COLOURS = ("#1f6feb", "#d4731f", "#2f9e63", "#8a56c2", "#c23b5a", "#6b7280")


@dataclass(frozen=True)
class Line:
    """A named line: one value per label, None where there is none; optional (low, high) per value."""

    name: str
    values: Sequence[float | None]
    intervals: Sequence[tuple[float, float] | None] = ()


def chart(labels: Sequence[str], lines: Sequence[Line], *, bound: float | None = None, bound_name: str = "") -> str:
    """A line chart as an SVG element."""
    flat = [v for line in lines for v in line.values if v is not None]
    flat += [v for line in lines for pair in line.intervals if pair for v in pair] + (
        [bound] if bound is not None else []
    )
    if not flat or not labels:
        return "<p>No data.</p>"
    low, high = min([0.0, *flat] if min(flat) < 0.4 else flat), max(flat)
    span = (high - low) or 1.0
    low, high = low - (0 if low == 0 else span * 0.1), high + span * 0.1

    def x(index: int) -> float:
        return LEFT + (index + 0.5) * (WIDTH - LEFT - 10) / len(labels)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 18 * len(lines)}" role="img" xmlns="http://www.w3.org/2000/svg">']
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" class="axis" text-anchor="end">{value:.2f}</text>')
    for index, label in enumerate(labels):
        where = f'x="{x(index):.1f}" y="{HEIGHT - BOTTOM + 18}"'
        parts.append(f'<text {where} class="axis" text-anchor="middle">{escape(label)}</text>')
    if bound is not None:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(bound):.1f}" y2="{y(bound):.1f}" class="bound"/>')
        parts.append(
            f'<text x="{WIDTH - 12}" y="{y(bound) - 4:.1f}" class="axis" text-anchor="end">{escape(bound_name)}</text>'
        )
    for number, line in enumerate(lines):
        parts += _line(line, COLOURS[number % len(COLOURS)], x, y)
        below = HEIGHT + 18 * number + 6
        parts.append(
            f'<rect x="{LEFT}" y="{below - 9}" width="10" height="10" fill="{COLOURS[number % len(COLOURS)]}"/>'
        )
        parts.append(f'<text x="{LEFT + 16}" y="{below}" class="axis">{escape(line.name)}</text>')
    return "".join([*parts, "</svg>"])


def _line(line: Line, colour: str, x: object, y: object) -> list[str]:
    assert callable(x) and callable(y)
    parts, points = [], []
    for index, value in enumerate(line.values):
        if value is None:
            continue
        points.append(f"{x(index):.1f},{y(value):.1f}")
        pair = line.intervals[index] if index < len(line.intervals) else None
        if pair is not None:
            ends = f'y1="{y(pair[0]):.1f}" y2="{y(pair[1]):.1f}"'
            parts.append(f'<line x1="{x(index):.1f}" x2="{x(index):.1f}" {ends} stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<circle cx="{x(index):.1f}" cy="{y(value):.1f}" r="4" fill="{colour}"><title>{value:.4f}</title></circle>'
        )
    parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts
