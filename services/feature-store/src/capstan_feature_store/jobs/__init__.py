"""Heavy work run in worker processes: DuckDB and pyarrow live here."""
