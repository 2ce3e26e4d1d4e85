"""The point-in-time join. Pinned semantics: every label row once; a feature row qualifies when its event time is at or
before the label's, at most ttl before it, and (as_known) it was created by then; the newest event time wins, then the
newest created time, then the largest content hash.

Method: a row is known from max(event, created) on. Rank all rows of a view by (event, created, hash); per key, the
running maximum of the rank over the instants at which rows become known is the best row known at each instant. One
ASOF join on those instants finds it for every label. Only that row can lie within the ttl if any does, because it has
the newest event time of all that are known: so the ttl is judged last. O((n + m) log n), and everything spills.
"""

from __future__ import annotations

from capstan_feature_store.jobs.sandbox import Connection


def join(
    con: Connection, labels: str, view: str, hits: str, lookup: list[str], ttl_us: int | None, *, as_known: bool
) -> None:
    """Make `hits`: n and the columns of the chosen row, for the labels that have one.

    `labels` has n (unique), t (label time in microseconds, may be null) and the columns in `lookup`, one per key of
    `view`; `view` is a table of `view_rows.build`.
    """
    keys = [f"k{i}" for i in range(len(lookup))]
    using = ", ".join(keys)
    known_sql, usable = ("greatest(e, c)", "WHERE c IS NOT NULL") if as_known else ("e", "")
    con.execute(
        f"""CREATE TABLE {hits}_ranked AS
        SELECT *, row_number() OVER (ORDER BY e, c NULLS FIRST, h) AS r FROM {view} {usable}"""
    )
    con.execute(
        f"""CREATE TABLE {hits}_keys AS
        SELECT {using}, row_number() OVER () AS kid FROM (SELECT DISTINCT {using} FROM {view})"""
    )
    con.execute(
        f"""CREATE TABLE {hits}_steps AS
        SELECT kid, known, max(best) AS best FROM (
            SELECT kid, known, max(r) OVER (PARTITION BY kid ORDER BY known) AS best
            FROM (SELECT kid, {known_sql} AS known, r FROM {hits}_ranked JOIN {hits}_keys USING ({using}))
        ) GROUP BY kid, known"""
    )
    on = " AND ".join(f"l.{column} = k.{key}" for column, key in zip(lookup, keys, strict=True))
    con.execute(
        f"""CREATE TABLE {hits}_best AS
        SELECT l.n, l.t, s.best AS r
        FROM (SELECT l.n, l.t, k.kid FROM {labels} l JOIN {hits}_keys k ON {on} WHERE l.t IS NOT NULL) l
        ASOF JOIN {hits}_steps s ON l.kid = s.kid AND l.t >= s.known"""
    )
    young = "" if ttl_us is None else f"WHERE b.t - v.e <= {int(ttl_us)}"
    con.execute(
        f"""CREATE TABLE {hits} AS
        SELECT b.n, v.* EXCLUDE (r, h) FROM {hits}_best b JOIN {hits}_ranked v USING (r) {young}"""
    )
    for part in ("ranked", "keys", "steps", "best"):
        con.execute(f"DROP TABLE {hits}_{part}")


def answers(con: Connection, view: str, kept: str, keys: list[str], *, now_us: int, older: int) -> None:
    """Make `kept`: the rows of each entity that the join (as_known) would give, with `known` and `older`.

    `view` is a table of `view_rows.build`. A row answers from `known` on, if no row that is known by then has a larger
    (event, created, hash), and until the next such row is known. All answers from `now_us` on are kept, and `older` of
    those before; the column `older` says that there were still older ones.
    """
    entity = ", ".join(keys)
    con.execute(
        f"""CREATE TABLE {kept} AS
        WITH ranked AS (
            SELECT *, greatest(e, c) AS known, row_number() OVER (PARTITION BY {entity} ORDER BY e, c, h) AS r
            FROM {view} WHERE c IS NOT NULL
        ), best AS (
            SELECT * FROM ranked QUALIFY r = max(r) OVER (PARTITION BY {entity} ORDER BY known)
        ), numbered AS (
            SELECT *, row_number() OVER (PARTITION BY {entity} ORDER BY known) AS n,
                count(*) FILTER (known <= {int(now_us)}) OVER (PARTITION BY {entity}) AS past
            FROM best
        )
        SELECT * EXCLUDE (r, n, past, h), past > {int(older) + 1} AS older
        FROM numbered WHERE n >= past - {int(older)}"""
    )
