"""A chart of one table of Markdown as SVG text: shares over sizes, one line per series, no library needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 56, 250, 28, 44
COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
DASHES: Final = ("", "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True)
class Chart:
    """Which columns of a table are drawn. `line` is what the method claims: drawn across, dashed."""

    title: str
    x: str
    y: str
    series: Sequence[str]
    line: float
    low: float
    high: float


def rows_of(lines: Sequence[str]) -> list[dict[str, str]]:
    """The cells of a table of Markdown by the name of their column."""
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|")]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def draw(chart: Chart, lines: Sequence[str]) -> str:
    """The SVG. ValueError where a cell of x or y is no number."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows_of(lines):
        name = ", ".join(row[column] for column in chart.series)
        points.setdefault(name, []).append((_number(row, chart.x), _number(row, chart.y)))
    sizes = sorted({x for line in points.values() for x, _ in line})
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / (high - low) if high > low else 0.5
        up = (min(max(y, chart.low), chart.high) - chart.low) / (chart.high - chart.low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(chart.title)}</text>',
    ]
    for step in range(5):
        y = chart.low + step * (chart.high - chart.low) / 4
        x0, y0 = place(sizes[0], y)
        x1, _ = place(sizes[-1], y)
        parts.append(f'<path d="M{x0:.1f} {y0:.1f}H{x1:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 6:.1f}" y="{y0 + 4:.1f}" text-anchor="end">{y:.3g}</text>')
    for size in sizes:
        x0, y0 = place(size, chart.low)
        parts.append(f'<text x="{x0:.1f}" y="{y0 + 18:.1f}" text-anchor="middle">{size:,.0f}</text>')
    x0, y0 = place(sizes[0], chart.line)
    x1, _ = place(sizes[-1], chart.line)
    parts.append(f'<path d="M{x0:.1f} {y0:.1f}H{x1:.1f}" stroke="black" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{(x0 + x1) / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(chart.x)}</text>')
    for index, (name, line) in enumerate(points.items()):
        parts += _series(index, name, [place(*point) for point in sorted(line)])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _series(index: int, name: str, places: Sequence[tuple[float, float]]) -> list[str]:
    colour, dash = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    at, key = TOP + 14 * index, WIDTH - RIGHT + 14
    return [
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in places),
        f'<path d="M{key} {at}h18" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"/>',
        f'<text x="{key + 24}" y="{at + 4}" font-size="11">{escape(name)}</text>',
    ]


def _number(row: Mapping[str, str], column: str) -> float:
    return float(row[column].replace(",", ""))
