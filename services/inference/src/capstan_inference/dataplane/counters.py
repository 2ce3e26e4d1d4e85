"""Counters of the model server, cheap enough for the hot path, in Prometheus text form."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_P = "capstan_inference_model"


class Counters:
    """Plain numbers. Those that threads touch are only ever told, never decided on."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = defaultdict(int)
        self.rows: dict[tuple[str, str, int], int] = defaultdict(int)
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0
        self.waiting = 0
        self.lookup_errors = 0
        self.foreign_views = 0
        self.swaps = 0
        self.syncs = 0
        self.records = 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request is done."""
        self.requests[route, status] += 1
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1
        self.seconds += seconds

    def text(self, *, named: bool) -> str:
        """The text format, version 0.0.4; rows by project, model and version where `named`, else their sum."""
        lines = [f"# TYPE {_P}_requests_total counter"]
        for (route, status), count in sorted(self.requests.items()):
            lines.append(f'{_P}_requests_total{{route="{route}",status="{status}"}} {count}')
        lines.append(f"# TYPE {_P}_rows_total counter")
        if named:
            for (project, model, version), count in sorted(self.rows.items()):
                lines.append(f'{_P}_rows_total{{project="{project}",model="{model}",version="{version}"}} {count}')
        else:
            lines.append(f"{_P}_rows_total {sum(self.rows.values())}")
        lines.append(f"# TYPE {_P}_request_duration_seconds histogram")
        total = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self.buckets, strict=True):
            total += count
            lines.append(f'{_P}_request_duration_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"{_P}_request_duration_seconds_sum {self.seconds:.6f}"]
        lines += [f"{_P}_request_duration_seconds_count {total}"]
        lines += [f"# TYPE {_P}_waiting_requests gauge", f"{_P}_waiting_requests {self.waiting}"]
        for name, value in (
            ("lookup_errors", self.lookup_errors),
            ("foreign_view_versions", self.foreign_views),
            ("swaps", self.swaps),
            ("log_syncs", self.syncs),
            ("log_records", self.records),
        ):
            lines += [f"# TYPE {_P}_{name}_total counter", f"{_P}_{name}_total {value}"]
        return "\n".join(lines) + "\n"
