"""The year 2013 as batches, made once beside the recipe."""

from __future__ import annotations

import shutil
from pathlib import Path

import prepare

from capstan_servicekit.objects.checked import sha256_file
from demo.chapter import TRAIN, Plan
from demo.steps import Screen

RECIPE = Path(__file__).resolve().parent.parent
ROOT = RECIPE.parent.parent


def make(rows_per_month: int, screen: Screen) -> Plan:
    """The plan of the story, with its files on the disk."""
    data, done = RECIPE / "data" / "batches", RECIPE / "data" / "batches" / "made-by"
    maker = sha256_file(Path(prepare.__file__))
    broken = RECIPE / "data" / "broken"
    if not done.exists() or done.read_text() != maker:
        screen.busy("reading 336,776 flights, and weather and planes")
        shutil.rmtree(data, ignore_errors=True)
        prepare.prepare(data)
        broken.mkdir(parents=True, exist_ok=True)
        prepare.break_month(data / "flights" / f"{TRAIN[1]}.parquet", broken / "broken.parquet")
        prepare.drop_column(data / "flights" / f"{TRAIN[1]}.parquet", broken / "missing-column.parquet")
        done.write_text(maker)
    return Plan(recipe=RECIPE, data=data, broken=broken, rows_per_month=rows_per_month)
