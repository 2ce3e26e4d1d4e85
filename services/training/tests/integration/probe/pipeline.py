"""A recipe that attacks when it is compiled and when it runs, and tells by an error what it could do."""

# ruff: noqa: PLC0415 - the source of a component is shipped alone, so its imports stand inside
# mypy: ignore-errors

import json
import pathlib

from kfp import dsl

HERE = pathlib.Path(__file__).parent
FACTS = json.loads((HERE / "facts.json").read_text())

if FACTS["when"] == "compile":
    import attempts

    FACTS["given"] += [str(HERE / "facts.json"), __file__]
    found = attempts.tried(FACTS)
    attempts.leave()
    raise RuntimeError(f"{len(found)} attempts; reached: {[name for name in found if found[name]]}")


@dsl.component(base_image="python:3.12", install_kfp_package=False)
def attack(
    training_set: str, source: str, facts: str, package: dsl.Output[dsl.Model], holdout: dsl.Output[dsl.Dataset]
) -> None:
    import json

    names: dict = {"__name__": "attempts"}
    exec(source, names)
    told = json.loads(facts)
    told["given"].append(training_set)
    found = names["tried"](told)
    names["leave"]()
    raise RuntimeError(f"{len(found)} attempts; reached: {[name for name in found if found[name]]}")


@dsl.pipeline(name="attack")
def train(training_set: str = "", source: str = "", facts: str = "") -> None:
    attack(training_set=training_set, source=source, facts=facts)
