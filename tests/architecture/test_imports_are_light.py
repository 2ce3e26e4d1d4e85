"""Importing a service does no work: quick, small, silent on the network, and without the heavy packages."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from environments import ENVIRONMENTS, JOB_SERVICES, LIBS, PINNED_IN_JOBS, SERVICES
from source_tree import modules, package_of

CPU_S = 1.5
MEMORY_MB = 100
YARDSTICK_S = 0.15
"""What the probe's yardstick takes on the processor that `CPU_S` is meant for. A shared machine can be three times
slower from one minute to the next; the yardstick runs in the same process, before and after, and is as much slower."""
HEAVY = {
    *("evidently", "feast", "great_expectations", "kfp", "lightgbm", "mlflow", "onnxruntime", "pandas", "scipy"),
    "sklearn",
}
ENGINE_LIBRARIES = {"lightgbm", "onnx", "onnxruntime"}
THREADED = {"numpy", "duckdb", "pyarrow"}
"""Each starts a thread when imported, so the parent that the laptop's services are forked from must not have them."""

PROBE = """
import json, resource, sys, threading, time
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto")
FORBIDDEN = (*NETWORK, "subprocess.Popen", "os.fork", "os.exec")
def refuse(event, args):
    if event.startswith(FORBIDDEN):
        raise RuntimeError(f"{event} while importing")
def yardstick():
    started = time.process_time()
    sum(i * i for i in range(2_000_000))
    return time.process_time() - started
before = yardstick()
sys.addaudithook(refuse)
started = time.process_time()
for name in sys.argv[1:]:
    __import__(name)
cpu = time.process_time() - started
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
if sys.platform == "linux":  # ru_maxrss survives exec, so it may be that of the parent
    with open("/proc/self/status") as file:
        memory = next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
tops = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([cpu, (before + yardstick()) / 2, memory, tops, threading.active_count()]))
"""


@dataclass(frozen=True)
class Cost:
    """What an import took: seconds on the processor of the limit, peak megabytes, and the packages it left behind."""

    cpu_s: float
    memory_mb: float
    packages: frozenset[str]
    threads: int


def cost_of(*names: str, python: str = sys.executable) -> Cost:
    """Import in a fresh process with an empty environment."""
    command = [python, "-I", "-c", PROBE, *names]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    cpu_s, yardstick_s, memory_mb, packages, threads = json.loads(done.stdout)
    return Cost(cpu_s * YARDSTICK_S / yardstick_s, memory_mb, frozenset(packages), threads)


@pytest.mark.parametrize("folder", SERVICES)
def test_a_service_imports_quickly_and_without_heavy_packages(folder: str) -> None:
    name = f"{package_of(folder)}.app"
    runs = [cost_of(name)]
    while runs[-1].cpu_s >= CPU_S and len(runs) < 3:  # the first run may have had to write bytecode
        runs.append(cost_of(name))
    assert runs[-1].packages & HEAVY == set()
    assert runs[-1].cpu_s < CPU_S
    assert runs[-1].memory_mb < MEMORY_MB


def test_what_the_laptop_parent_preloads_starts_no_thread() -> None:
    names = [module.name for lib in ("libs/contracts", "libs/servicekit") for module in modules(lib)]
    cost = cost_of(*(name for name in names if not name.endswith("__main__")))
    assert cost.packages & (HEAVY | THREADED) == set()
    assert cost.threads == 1


def test_only_an_engine_imports_the_library_that_runs_its_models() -> None:
    """LightGBM is loaded as a C library, so no product code imports it; recipes train with it in their own steps."""
    found = {
        (one.top, module.name.rpartition(".")[0])
        for folder in (*LIBS, *SERVICES)
        for module in modules(folder)
        for one in module.imports()
        if one.top in ENGINE_LIBRARIES
    }
    assert found == {("onnxruntime", "capstan_engines.onnx"), ("onnx", "capstan_testkit")}


def test_nothing_but_its_own_folder_imports_an_engine_by_name() -> None:
    """A package names its engine, and `capstan_engines.family` finds it."""
    engines = ("capstan_engines.lightgbm", "capstan_engines.onnx")
    found = [
        f"{module.at(one.line)} {one.target}"
        for folder in (*LIBS, *SERVICES)
        for module in modules(folder)
        for one in module.imports()
        for engine in engines
        if one.target.startswith(engine) and not module.name.startswith(engine)
    ]
    assert found == []


@pytest.mark.integration
@pytest.mark.parametrize("service", JOB_SERVICES)
def test_the_job_host_and_the_domain_import_in_the_job_environment(service: str) -> None:
    """Job environments have no framework: what jobs share with the service must do without."""
    names = ["capstan_servicekit.jobs.host"]
    names += [module.name for module in modules(f"services/{service}") if module.room == "domain"]
    names += [module.name for lib in PINNED_IN_JOBS for module in modules(lib)]
    cost = cost_of(*names, python=str(ENVIRONMENTS[service].folder / "bin" / "python"))
    assert cost.packages & HEAVY == set()


def test_the_command_line_imports_quickly() -> None:
    runs = [cost_of("capstan_client.cli") for _ in range(2)]
    assert runs[-1].packages & (HEAVY | THREADED) == set()
    assert runs[-1].cpu_s < CPU_S
