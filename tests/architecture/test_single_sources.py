"""Things that may be in one place only: the environment in settings.py, wire models in the contracts, new sockets."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from environments import ROOT, SERVICES
from source_tree import Module, all_modules, modules

OWN_ROW = "capstan_contracts.parts.Part"
"""A service's part of a loop is a row of its own, never a body."""

READERS = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"}


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for an attribute chain, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def environment_reads(module: Module) -> Iterator[str]:
    """Places that read it; one that only writes it, for libraries (`os.environ.update`), reads nothing."""
    attributes = [node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)]
    written = {id(node.value) for node in attributes if node.attr == "update"}
    for node in attributes:
        if id(node) not in written and dotted(node) in READERS:
            yield module.at(node.lineno)
    yield from (module.at(one.line) for one in module.imports() if one.target in READERS)


def test_only_settings_read_the_environment() -> None:
    found = [
        place for _, module in all_modules() if module.path.name != "settings.py" for place in environment_reads(module)
    ]
    assert found == []


SOCKETS = "capstan_servicekit.http.sockets"


def sockets_made(module: Module) -> Iterator[str]:
    """Yield places that make a socket; one that adopts a descriptor (`fileno=`) learns the protocol from the kernel."""
    known = {one.target.rpartition(".")[2]: one.target for one in module.imports()}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and not any(keyword.arg == "fileno" for keyword in node.keywords):
            first, dot, rest = dotted(node.func).partition(".")
            if known.get(first, first) + dot + rest in {"socket.socket", "socket.create_server"}:
                yield module.at(node.lineno)


def test_sockets_are_made_in_one_place() -> None:
    found = [place for _, module in all_modules() if module.name != SOCKETS for place in sockets_made(module)]
    assert found == []


def test_a_new_socket_would_be_seen() -> None:
    source = """
import socket
from socket import create_server
one = socket.socket()
two = create_server(("127.0.0.1", 0))
adopted = socket.socket(fileno=3)
"""
    module = Module(ROOT / Path("example.py"), "capstan_registry.adapters.example", ast.parse(source))
    assert len(list(sockets_made(module))) == 2


def is_model(target: str) -> bool:
    """Tell whether a dotted name is a pydantic model: one of pydantic's own bases, or a model of the contracts."""
    package, _, name = target.rpartition(".")
    if target in {"pydantic.BaseModel", "pydantic.RootModel", "pydantic_settings.BaseSettings"}:
        return True
    if not package.startswith("capstan_contracts") or target == OWN_ROW:
        return False
    found = getattr(importlib.import_module(package), name, None)
    return isinstance(found, type) and issubclass(found, BaseModel)


def models_defined(module: Module) -> Iterator[str]:
    known = {one.target.rpartition(".")[2]: one.target for one in module.imports()}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for base in node.bases:
            plain = base.value if isinstance(base, ast.Subscript) else base
            first, dot, rest = dotted(plain).partition(".")
            if is_model(known.get(first, first) + dot + rest):
                yield f"{module.at(node.lineno)} {node.name}"


@pytest.mark.parametrize("folder", SERVICES)
def test_a_service_defines_no_wire_model_of_its_own(folder: str) -> None:
    found = [one for module in modules(folder) if module.room != "settings" for one in models_defined(module)]
    assert found == []


def test_a_model_and_an_environment_read_would_be_seen() -> None:
    source = """
import os, pydantic
from os import getenv
from pydantic import BaseModel
from capstan_contracts.base import Wire
class One(BaseModel): ...
class Two(pydantic.RootModel[int]): ...
class Three(Wire): ...
class Four(Exception): ...
HOME = os.environ["HOME"]
"""
    module = Module(ROOT / Path("example.py"), "capstan_registry.actions.example", ast.parse(source))
    assert [one.split()[-1] for one in models_defined(module)] == ["One", "Two", "Three"]
    assert len(list(environment_reads(module))) == 2
