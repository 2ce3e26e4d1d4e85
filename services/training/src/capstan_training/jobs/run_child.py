"""Process: run compiled IR by KFP's local runner, one step after the other in processes of this interpreter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kfp import components, local

from capstan_training.domain.jobs import ChildRun


def main() -> None:
    """Argument: the file of a ChildRun. Exit status 3 when the pipeline failed."""
    order = ChildRun(**json.loads(Path(sys.argv[1]).read_text()))
    root = Path(order.root)
    pipeline = components.load_component_from_text(Path(order.ir).read_text("utf-8"))
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(root),
        workspace_root=str(root / "workspace"),
        raise_on_error=True,
    )
    try:
        task = pipeline(**order.arguments)
    except Exception as error:  # noqa: BLE001 - the process edge: KFP raises plain errors of many kinds
        print(f"{type(error).__name__}: {error}", flush=True)
        Path(order.failure).write_text(f"{error}")
        sys.exit(3)
    outputs = {name: value.path for name, value in task.outputs.items() if hasattr(value, "path")}
    Path(order.outputs).write_text(json.dumps(outputs))


if __name__ == "__main__":
    main()
