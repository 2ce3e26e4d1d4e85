"""The engines by name. Each is imported when a package asks for it, so that a process holds only what it runs."""

from __future__ import annotations

from typing import Final

from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind, nearest
from capstan_engines.errors import EngineError
from capstan_engines.port import Engine, Predictor
from capstan_packages.errors import PackageError
from capstan_packages.header import MODEL_JSON
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.models import ModelContents
from capstan_packages.signature import PREDICTION, Signature, outputs_of

ENGINES: Final = Family[Engine]("capstan.engines")


def engine_of(header: ModelHeader, engines: Family[Engine] = ENGINES) -> Engine:
    """The engine of a package. EngineError where it is unknown (with the nearest name) or cannot be imported."""
    try:
        return engines.get(header.engine)
    except (UnknownKind, BrokenKind) as error:
        raise EngineError(str(error)) from error


def check(package: ModelContents, engines: Family[Engine] = ENGINES) -> Signature:
    """The signature of a package that its engine can load. PackageError and EngineError as of `Engine.check`."""
    engine = engine_of(package.header, engines)
    check_declared(engine, package.header)
    try:
        return engine.check(package)
    except (EngineError, PackageError, OSError):
        raise
    except Exception as error:  # somebody else's engine: whatever it raises is a sentence, not a crash
        raise _failed(engine.name, "check", error) from error


def load(package: ModelContents, engines: Family[Engine] = ENGINES) -> Predictor:
    """The model of a package in memory. PackageError and EngineError as of `Engine.load`."""
    engine = engine_of(package.header, engines)
    check_declared(engine, package.header)
    try:
        return engine.load(package)
    except (EngineError, PackageError, OSError):
        raise
    except Exception as error:  # as above
        raise _failed(engine.name, "load", error) from error


def check_declared(engine: Engine, header: ModelHeader) -> None:
    """PackageError where the header asks an engine for a task, member or output that it has not."""
    if header.task not in engine.tasks:
        close = nearest(header.task, tuple(sorted(engine.tasks)))
        hint = f"did you mean {close!r}? It knows" if close else "it knows"
        tasks = ", ".join(sorted(engine.tasks))
        raise _header("task", f"engine {engine.name!r} does not know the task {header.task!r}; {hint}: {tasks}")
    if set(header.members) != set(engine.members):
        listed = ", ".join(header.members) or "none"
        raise _header("members", f"engine {engine.name!r} reads {', '.join(engine.members)}; the header lists {listed}")
    if header.requires:
        raise _header("requires", f"engine {engine.name!r} loads no package on top of another one")
    if not any(output.name == PREDICTION and output.width == 1 for output in header.signature.outputs):
        raise _header("outputs", f"signature.outputs must have {PREDICTION!r}, one value per row")
    try:
        wanted = outputs_of(header.task, header.signature.classes or 2)
    except KeyError:
        return  # a task that only this engine knows: its check compares the other outputs
    if header.signature.outputs != wanted:
        shown = ", ".join(f"{output.name} ({output.dtype}, width {output.width})" for output in wanted)
        raise _header("outputs", f"signature.outputs must be {shown} for the task {header.task!r}")


def _header(rule: str, detail: str) -> PackageError:
    return PackageError(MODEL_JSON, rule, detail)


def _failed(name: str, verb: str, error: Exception) -> EngineError:
    return EngineError(f"engine {name!r} fails to {verb} the package: {type(error).__name__}: {error}")
