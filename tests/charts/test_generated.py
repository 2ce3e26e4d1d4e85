"""Generated files are what the models say, and the facts that templates repeat are those of the code."""

from __future__ import annotations

import re

import pytest
import yaml

from capstan_contracts.ids import SERVICES
from capstan_servicekit.settings import LOCAL_PORTS
from chart_files import files
from environments import ROOT
from schema.services import CHARTS

FACTS = ROOT / "charts" / "capstan-lib" / "templates" / "_names.tpl"


@pytest.mark.parametrize("name", sorted(files()))
def test_generated_files_are_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == files()[name], "run `make charts`"


def test_every_service_has_a_chart() -> None:
    assert set(CHARTS) == set(SERVICES)
    umbrella = yaml.safe_load((ROOT / "charts/capstan/Chart.yaml").read_text())
    assert {one["name"] for one in umbrella["dependencies"]} == {*SERVICES, "capstan-lib"}


def test_charts_and_their_dependencies_have_one_version() -> None:
    charts = [yaml.safe_load(path.read_text()) for path in ROOT.glob("charts/*/Chart.yaml")]
    found = {(one["version"], one["appVersion"]) for one in charts}
    assert len(found) == 1
    assert {dep["version"] for one in charts for dep in one.get("dependencies", [])} == {charts[0]["version"]}


def facts() -> dict[str, dict[str, object]]:
    text = re.search(r'define "capstan.services" -}}\n(.*?){{- end }}', FACTS.read_text(), re.DOTALL)
    assert text
    found: dict[str, dict[str, object]] = yaml.safe_load(text.group(1))
    return found


def test_ports_in_the_cluster_are_those_of_the_laptop() -> None:
    assert {name: fact["port"] for name, fact in facts().items()} == LOCAL_PORTS


def test_the_policies_know_every_call_between_services() -> None:
    """Each `peers.get("<service>", ...)` in the sources has its way through the network, and no way is unused."""
    known = {name: fact["calls"] for name, fact in facts().items()}
    for service in SERVICES:
        source = ROOT / "services" / service / "src"
        text = "\n".join(path.read_text() for path in source.rglob("*.py"))
        called = set(re.findall(r'peers\.(?:get|put|post|request)\(\s*"([a-z-]+)"', text))
        if re.search(r"peers\.put\(\s*service", text):  # the registry hands each service its part of a loop
            called |= {*SERVICES} - {service}
        assert called == set(known[service]), service  # type: ignore[call-overload]
