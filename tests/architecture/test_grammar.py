"""What a service does has one grammar: work of one shape, actions that name what they need, transactions in actions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments import ROOT, SERVICES
from source_tree import Module, modules

KIT = "capstan_servicekit.runtime.Kit"


def classes(module: Module) -> Iterator[ast.ClassDef]:
    yield from (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def methods(node: ast.ClassDef) -> set[str]:
    return {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}


def payload_of(node: ast.ClassDef) -> str | None:
    """X for `class DoX(Work[X])` with `Payload = X`; None for a class that is no work, or names two payloads."""
    bases = [base for base in node.bases if isinstance(base, ast.Subscript) and ast.unparse(base.value) == "Work"]
    named = [
        ast.unparse(part.value)
        for part in node.body
        if isinstance(part, ast.Assign) and [ast.unparse(target) for target in part.targets] == ["Payload"]
    ]
    given = [ast.unparse(base.slice) for base in bases]
    return given[0] if len(given) == 1 and given == named else None


def breaches_of_work(module: Module) -> Iterator[str]:
    """Classes that do leased work in another shape, and functions that take a lease to be work."""
    for node in classes(module):
        if "Lease" not in ast.unparse(node) or not {"run", "failed"} & methods(node):
            continue
        takes_an_item = any("WorkItem" in ast.unparse(part) for part in node.body)
        if takes_an_item and (payload_of(node) is None or not {"run", "failed"} <= methods(node)):
            yield f"{module.at(node.lineno)} {node.name}"
    for part in module.tree.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [argument.annotation for argument in part.args.args if argument.annotation is not None]
            if any(ast.unparse(annotation) == "Lease" for annotation in arguments) and "WorkItem" in ast.unparse(part):
                yield f"{module.at(part.lineno)} {part.name}"


def frozen_payloads(module: Module) -> Iterator[str]:
    """Dataclasses with a KIND that are frozen."""
    for node in classes(module):
        kind = any(isinstance(part, ast.AnnAssign) and ast.unparse(part.target) == "KIND" for part in node.body)
        if kind and "dataclass(frozen=True)" in [ast.unparse(decorator) for decorator in node.decorator_list]:
            yield node.name


@pytest.mark.parametrize("folder", SERVICES)
def test_leased_work_has_one_shape(folder: str) -> None:
    assert [breach for module in modules(folder) for breach in breaches_of_work(module)] == []


@pytest.mark.parametrize("folder", SERVICES)
def test_every_payload_has_its_work_and_lies_in_the_domain(folder: str) -> None:
    done = {payload for module in modules(folder) for node in classes(module) if (payload := payload_of(node))}
    declared = {
        name for module in modules(folder) if module.inside == "domain.work" for name in frozen_payloads(module)
    }
    assert done == declared


@pytest.mark.parametrize("folder", SERVICES)
def test_the_composition_root_lists_every_work(folder: str) -> None:
    works = {node.name for module in modules(folder) for node in classes(module) if payload_of(node)}
    root = next(module for module in modules(folder) if module.inside == "app")
    assert {ast.unparse(node.func) for node in ast.walk(root.tree) if isinstance(node, ast.Call)} >= works


@pytest.mark.parametrize("folder", SERVICES)
def test_the_kit_goes_no_further_than_the_composition_root(folder: str) -> None:
    users = {module.name for module in modules(folder) if any(one.target == KIT for one in module.imports())}
    assert {name for name in users if not name.endswith(".app")} == set()


def sessions_opened(module: Module) -> Iterator[str]:
    """Places with `async with database.read()` or `.write()`, whatever the database is called."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.AsyncWith):
            continue
        opened = [ast.unparse(item.context_expr) for item in node.items]
        if any(what.endswith(("database.read()", "database.write()")) for what in opened):
            yield module.at(node.lineno)


@pytest.mark.parametrize("folder", SERVICES)
def test_transactions_are_opened_by_actions_only(folder: str) -> None:
    outside = [place for module in modules(folder) if module.room != "actions" for place in sessions_opened(module)]
    assert outside == []


@pytest.mark.parametrize("folder", SERVICES)
def test_what_opens_a_session_is_a_class_that_names_its_database(folder: str) -> None:
    loose = [
        f"{module.name}.{part.name}"
        for module in modules(folder)
        if module.room == "actions"
        for part in module.tree.body
        if isinstance(part, ast.AsyncFunctionDef)
        and list(sessions_opened(Module(module.path, module.name, ast.Module([part], []))))
    ]
    assert loose == []


def states_by_hand(module: Module) -> Iterator[str]:
    """Places where a row's state becomes a text instead of what a table of states allows."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = (
                zip(target.elts, node.value.elts, strict=False)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for left, right in pairs:
                if isinstance(left, ast.Attribute) and left.attr == "state" and isinstance(right, ast.Constant):
                    yield module.at(node.lineno)


@pytest.mark.parametrize("folder", SERVICES)
def test_no_state_is_written_as_a_text(folder: str) -> None:
    assert [place for module in modules(folder) if module.room == "actions" for place in states_by_hand(module)] == []


def test_other_shapes_would_be_seen() -> None:
    source = """
class Good(Work[Thing]):
    Payload = Thing
    async def run(self, item: WorkItem[Thing], lease: Lease): ...
    async def failed(self, session, item: WorkItem[Thing], problem): ...
class NoBase:
    async def run(self, item: WorkItem[Thing], lease: Lease): ...
class TwoPayloads(Work[Thing]):
    Payload = Other
    async def run(self, item: WorkItem[Thing], lease: Lease): ...
    async def failed(self, session, item: WorkItem[Thing], problem): ...
def closure(kit):
    async def run(item: WorkItem, lease: Lease): ...
async def bare(item: WorkItem[Thing], lease: Lease): ...
async def route():
    async with kit.database.read() as session, other():
        row.state, row.message = "failed", ""
        row.state = BATCH.move(row.state, FAILED)
"""
    module = Module(ROOT / Path("example.py"), "capstan_registry.actions.example", ast.parse(source))
    assert [breach.split()[-1] for breach in breaches_of_work(module)] == ["NoBase", "TwoPayloads", "bare"]
    assert [payload_of(node) for node in classes(module)] == ["Thing", None, None]
    assert len(list(sessions_opened(module))) == 1
    assert len(list(states_by_hand(module))) == 1
