"""What the demo leaves behind: `report.json` for machines and `index.html` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from capstan_contracts.events import DriftFigure
from capstan_contracts.rest.monitoring import QualityWindow
from demo.chapter import Seen
from demo.pictures import Line, chart
from demo.steps import Step

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;color:#1d2330;background:#fff}
h1{margin-bottom:.2rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;
border-bottom:1px solid #e3e6ec;vertical-align:top}.ok{color:#1a7f4b;font-weight:600}.no{color:#b4232f;font-weight:600}
svg{width:100%;height:auto}.grid{stroke:#e9ecf2}.bound{stroke:#b4232f;stroke-dasharray:5 4}
.axis{font-size:12px;fill:#5b6472}
code{background:#f3f5f8;padding:.1rem .3rem;border-radius:4px}ol.time{list-style:none;padding:0}
ol.time li{display:flex;gap:1rem;border-left:2px solid #1f6feb;padding:.1rem .8rem}ol.time b{min-width:4.5rem}
@media (prefers-color-scheme:dark){body{background:#11151c;color:#e4e8ef}td,th{border-color:#2a313d}
code{background:#1c222c}.grid{stroke:#2a313d}.axis{fill:#9aa4b2}.ok{color:#4cc38a}.no{color:#ff7b86}a{color:#6ea8ff}}
"""


def write_json(folder: Path, steps: list[Step], seconds: float, platform: Mapping[str, Any]) -> dict[str, Any]:
    """Write `report.json`; what it says."""
    contents = {
        "ok": bool(steps) and all(step.ok for step in steps),
        "seconds": round(seconds, 1),
        "platform": dict(platform),
        "steps": [
            {
                name: value
                for name, value in asdict(step).items()
                if name in ("name", "expected", "observed", "ok", "figures", "seconds")
            }
            | {"checks": [{"check": sentence, "holds": holds} for sentence, holds in step.checks]}
            for step in steps
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(contents, indent=1, default=str))
    return contents


def write_html(folder: Path, contents: Mapping[str, Any], seen: Seen, links: Mapping[str, str]) -> Path:
    """Write `index.html` beside it."""
    verdict = (
        '<span class="ok">every step held</span>' if contents["ok"] else '<span class="no">a step did not hold</span>'
    )
    numbers = contents["platform"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Capstan: the loop on flight delays</title><style>{STYLE}</style></head><body>",
        "<h1>The loop, once round</h1>",
        f"<p>{verdict} in {contents['seconds']:.0f} s. Platform ready in {numbers.get('ready_s')} s, ",
        f"{numbers.get('idle_pss_mb')} MB when idle, all processes together (PSS).</p>",
        _steps(contents["steps"]),
        "<h2>Drift by window</h2>", _drift(seen),
        "<h2>Live quality by window</h2>", _quality(seen),
        "<h2>Timeline</h2>", _timeline(seen),
        "<h2>Look further</h2>", _links(links),
        "</body></html>",
    ]  # fmt: skip
    page = folder / "index.html"
    page.write_text("\n".join(parts))
    return page


def _steps(steps: list[dict[str, Any]]) -> str:
    lines = [
        f'<tr><td class="{"ok" if step["ok"] else "no"}">{"held" if step["ok"] else "failed"}</td>'
        f"<td><b>{escape(step['name'])}</b><br>{escape(step['expected'])}</td>"
        f"<td>{escape(step['observed'])}</td><td>{step['seconds']:.1f} s</td></tr>"
        for step in steps
    ]
    return "<table><tr><th></th><th>step</th><th>seen</th><th>time</th></tr>" + "".join(lines) + "</table>"


def _drift(seen: Seen) -> str:
    windows = [window for window in seen.windows if window.columns]
    judged = [figure for window in windows for figure in window.columns if not figure.seasonal]
    scales = {(figure.statistic, figure.floor) for figure in judged}
    # One statistic is drawn in its own unit; several have no common one but their floors.
    statistic, floor = next(iter(scales)) if len(scales) == 1 else ("times each statistic's own", 1.0)
    strongest: dict[str, float] = {}
    for figure in judged:
        strongest[figure.column] = max(strongest.get(figure.column, 0.0), figure.strength)
    top = sorted(strongest, key=lambda name: -strongest[name])[:5]

    def height(figure: DriftFigure) -> float:
        return figure.effect if len(scales) == 1 else figure.strength

    lines = [
        Line(name, [next((height(f) for f in window.columns if f.column == name), None) for window in windows])
        for name in top
    ]
    labels = [f"{window.start:%d %b}" for window in windows]
    return chart(labels, lines, bound=floor, bound_name=f"alarm floor ({statistic})")


def _quality(seen: Seen) -> str:
    measured = [window for window in seen.quality if window.value is not None]
    versions = sorted({window.model_version for window in measured})
    labels = sorted({window.start for window in measured})
    lines = []
    for version in versions:
        by_start = {window.start: window for window in measured if window.model_version == version}
        values = [by_start[start].value if start in by_start else None for start in labels]
        pairs = [_interval(by_start.get(start)) for start in labels]
        lines.append(Line(f"version {version}, AUC with 95 % interval", values, pairs))
    return chart([f"{start:%d %b}" for start in labels], lines)


def _interval(window: QualityWindow | None) -> tuple[float, float] | None:
    return None if window is None or window.low is None or window.high is None else (window.low, window.high)


def _timeline(seen: Seen) -> str:
    return (
        '<ol class="time">'
        + "".join(f"<li><b>{at:.1f} s</b>{escape(what)}</li>" for at, what in seen.timeline)
        + "</ol>"
    )


def _links(links: Mapping[str, str]) -> str:
    items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in links.items())
    return (
        f"<ul>{items}</ul><p>Pages of the platform need a session: <code>capstan open mlflow</code>, "
        "<code>capstan open report</code> or <code>capstan open docs</code> makes one.</p>"
    )
