from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chart_files import vendor
from environments import ROOT
from rendered import SCENARIOS, Manifests, render


@pytest.fixture(scope="session")
def umbrella(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The umbrella with its dependencies in place, in a copy."""
    folder = tmp_path_factory.mktemp("release") / "charts"
    vendored = shutil.ignore_patterns("charts", "__pycache__")
    folder.mkdir()
    for chart in (ROOT / "charts").iterdir():
        if (chart / "Chart.yaml").exists():
            shutil.copytree(chart, folder / chart.name, ignore=vendored)
    return vendor(folder)


@pytest.fixture(scope="session")
def development_data() -> Manifests:
    """The data services for development."""
    return render(ROOT / "k8s" / "dev", release="capstan-data")


@pytest.fixture(scope="session")
def scenarios(umbrella: Path) -> dict[str, Manifests]:
    """Each scenario of ci/, rendered."""
    return {path.name.removesuffix("-values.yaml"): render(umbrella, "--values", str(path)) for path in SCENARIOS}


@pytest.fixture(params=[*(path.name.removesuffix("-values.yaml") for path in SCENARIOS), "k8s/dev"])
def manifests(
    request: pytest.FixtureRequest, scenarios: dict[str, Manifests], development_data: Manifests
) -> Manifests:
    """Each scenario in turn, and the data services for development."""
    return development_data if request.param == "k8s/dev" else scenarios[request.param]
