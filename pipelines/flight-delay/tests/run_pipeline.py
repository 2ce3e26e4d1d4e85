"""Compiles the pipeline and runs it by KFP's local runner, in the training environment. Argument: an order (JSON file).

The order: recipe (folder), root (empty folder), arguments, package (file to write). Prints {digest, holdout, metrics}.
"""

import importlib.util
import json
import sys
from pathlib import Path

from kfp import compiler, components, local

from capstan_packages.writer import write_package


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text())
    root = Path(order["root"])
    spec = importlib.util.spec_from_file_location("pipeline", Path(order["recipe"]) / "pipeline.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    compiler.Compiler().compile(module.train, str(root / "ir.yaml"))
    pipeline = components.load_component_from_file(str(root / "ir.yaml"))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "out"), raise_on_error=True)
    pipeline(**order["arguments"])
    found = {name: next((root / "out").rglob(f"*/{name}")) for name in ("package", "holdout")}
    told = next((root / "out").rglob("evaluate-booster/executor_output.json"))
    metrics = json.loads(told.read_text())["artifacts"]["metrics"]["artifacts"][0]["metadata"]
    digest = write_package(found["package"], Path(order["package"]))
    print(json.dumps({"digest": digest, "holdout": str(found["holdout"]), "metrics": metrics}))


if __name__ == "__main__":
    main()
