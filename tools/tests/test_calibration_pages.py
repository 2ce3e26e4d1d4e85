"""`make calibrate` puts tables and pictures where the pages have a place for them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from calibration.__main__ import DOCS, main
from calibration.pages import TABLES, Table, written
from calibration.picture import Chart, draw, rows_of

LINES = ["| metric | rows | held |", "|---|---|---|", "| auc < 1 | 1,000 | 0.95 |", "| auc < 1 | 60 | 0.7 |"]
CHART = Chart("Shares", "rows", "held", ("metric",), 0.95, 0.8, 1.0)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_table_has_its_place_once(table: Table) -> None:
    text = (DOCS / table.page).read_text(encoding="utf-8")
    assert text.count(f"<!-- calibration: {table.name} -->") == 1
    assert text.index("<!-- end -->", text.index(f"<!-- calibration: {table.name} -->")) > 0


def test_a_table_replaces_what_stood_in_its_place(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- calibration: held -->\nold\n<!-- end -->\n\nafter\n")
    table = Table("page.md", "held", lambda whole: LINES, CHART)
    for whole in (True, False):
        written(tmp_path, table, LINES, whole=whole)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "\n".join(LINES) in text and text.count("![Shares](held.svg)") == 1 and "(small" in text
    page.write_text("nothing")
    with pytest.raises(ValueError, match=r"page\.md: .* once, not 0 times"):
        written(tmp_path, table, LINES, whole=True)


def test_a_chart_has_a_point_per_row_in_the_order_of_sizes() -> None:
    assert rows_of(LINES)[0] == {"metric": "auc < 1", "rows": "1,000", "held": "0.95"}
    root = ET.fromstring(draw(CHART, LINES))
    points = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(points) == 2 and points[0][0] < points[1][0]
    assert points[0][1] > points[1][1], "less is lower, and what is below the scale stands on its edge"


def test_a_name_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["covrage"])
    assert "no table 'covrage'; there are " in capsys.readouterr().err
