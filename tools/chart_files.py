"""What the charts need beside their templates: generated files (`write`) and their dependencies (`vendor`).

Vendoring copies the library chart into each service chart, and those into the umbrella, as `helm dependency update`
would, but without a network, a cache or Helm. The copies are not committed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "charts"))

from capstan_contracts.ids import SERVICES  # noqa: E402 - the models lie beside the charts
from capstan_servicekit.bus.nats_config import ADMINISTRATOR, permissions  # noqa: E402
from schema.render import DEVELOPMENT_DATA, generated  # noqa: E402

LIBRARY, UMBRELLA = "capstan-lib", "capstan"


def nats_users() -> str:
    """The broker's users with their permissions, as the broker's own configuration has them; no permissions: all."""
    users = {ADMINISTRATOR: {}, **{service: permissions(service) for service in SERVICES}}
    return json.dumps(users, indent=1) + "\n"


def files() -> dict[str, str]:
    """Content of each generated file, by its path in the repository."""
    return {**generated(), f"{DEVELOPMENT_DATA}/files/nats-users.json": nats_users()}


def write() -> None:
    """Write the generated files that changed."""
    for name, content in files().items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(name)


def vendor(charts: Path = ROOT / "charts") -> Path:
    """Put each chart's dependencies into its charts/ folder; return the umbrella, ready for Helm."""
    for service in SERVICES:
        _replace(charts / service / "charts" / LIBRARY, charts / LIBRARY)
    for service in SERVICES:
        _replace(charts / UMBRELLA / "charts" / service, charts / service)
    _replace(charts / UMBRELLA / "charts" / LIBRARY, charts / LIBRARY)
    return charts / UMBRELLA


def _replace(target: Path, source: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def main(arguments: list[str]) -> int:
    """Do what the arguments name, in order; return the exit status."""
    verbs: dict[str, Callable[[], object]] = {"write": write, "vendor": vendor}
    if not arguments or any(verb not in verbs for verb in arguments):
        print("usage: chart_files.py write | vendor ...", file=sys.stderr)
        return 2
    for verb in arguments:
        verbs[verb]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
