"""A tiny pipeline of two steps: one split at the mean, and its accuracy on the holdout. `behave` makes it misbehave."""

# ruff: noqa: PLC0415 - the source of a component is shipped alone, so its imports stand inside
# mypy: disable-error-code="untyped-decorator"

from kfp import dsl

IMAGE = "python:3.12"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fit(
    training_set: str,
    label: str,
    manifest: str,
    seed: int,
    holdout_days: int,
    shift: float,
    behave: str,
    package: dsl.Output[dsl.Model],
    holdout: dsl.Output[dsl.Dataset],
) -> None:
    import json
    import pathlib
    import time

    import numpy as np
    import pyarrow.parquet as pq

    from capstan_formats.sketches import Baseline, BaselineColumn, NumericSketch, Role
    from capstan_packages.draft import draft
    from capstan_packages.fields import Pins

    print(f"Authorization: Bearer cap_{'x' * 20} never reaches the log")
    if behave == "sleep":
        print("sleeping", flush=True)
        time.sleep(600)
    if behave == "grow":
        held = [bytearray(b"x" * (64 << 20)) for _ in range(40)]
        time.sleep(60 + len(held))
    if behave == "count":
        for number in range(60):
            print(f"line {number}", flush=True)
            time.sleep(0.1)
    if behave == "spy":
        import os

        seen, closed = list(os.environ), 0
        for process in pathlib.Path("/proc").glob("[0-9]*") if os.geteuid() != 0 else []:  # root may read everything
            try:
                seen += [one.split("=")[0] for one in (process / "environ").read_text(errors="replace").split("\0")]
            except PermissionError:
                closed += 1
        print("found:", sorted({name for name in seen if name.startswith("CAPSTAN_RUN_")}), "closed:", closed)
    pinned = json.loads(manifest)
    table = pq.read_table(training_set)
    rows = table.num_rows - holdout_days
    distance = np.asarray(table["distance"].to_numpy()[:rows], dtype=float)
    late = np.asarray(table[label].to_numpy()[:rows], dtype=float)
    threshold = float(distance.mean()) + shift
    noise = float(np.random.default_rng(seed).normal() * 1e-6)
    left, right = (float(late[side].mean()) - 0.5 + noise for side in (distance <= threshold, distance > threshold))
    tree = (
        "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\n"
        f"threshold={threshold!r}\ndecision_type=2\nleft_child=-1\nright_child=-2\n"
        f"leaf_value={left!r} {right!r}\nleaf_weight=1 1\nleaf_count=1 1\n"
        "internal_value=0\ninternal_weight=2\ninternal_count=2\nis_linear=0\nshrinkage=1\n\n\n"
    )
    text = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\n"
        "objective=binary sigmoid:1\nfeature_names=distance\nfeature_infos=[0:5000]\n"
        f"tree_sizes={len(tree)}\n\n{tree}end of trees\n\nparameters:\nend of parameters\n"
    )
    pins = pinned["pins"]
    header = draft(
        [{"op": "numeric", "column": "distance"}],
        engine="lightgbm",
        members=("model.txt",),
        name=pinned["loop"],
        label=label,
        pins=Pins(pins["dataset_version"], pins["view_versions"], pins["code"], pins["parameters"], seed),
    )
    folder = pathlib.Path(package.path)
    folder.mkdir(parents=True)
    (folder / "model.json").write_bytes(header.to_bytes())
    (folder / "model.txt").write_text(text)
    baseline = {"distance": BaselineColumn(Role.FEATURE, NumericSketch.build(distance.tolist()))}
    (folder / "baseline.json").write_bytes(Baseline(baseline).to_bytes())
    if behave == "pickle":
        (folder / "model.pkl").write_bytes(b"\x80\x04.")
    pq.write_table(table.slice(rows), holdout.path)
    print(f"fitted on {rows} rows")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score(holdout: dsl.Input[dsl.Dataset], label: str, behave: str, metrics: dsl.Output[dsl.Metrics]) -> None:
    import pyarrow.parquet as pq

    late = pq.read_table(holdout.path)[label].to_numpy()
    if behave == "fail":
        raise ValueError("the holdout is\nof no use")
    metrics.log_metric("accuracy", float(late.mean()))


@dsl.pipeline(name="tiny")
def train(
    training_set: str,
    label: str,
    manifest: str,
    seed: int = 7,
    holdout_days: int = 14,
    shift: float = 0.0,
    behave: str = "well",
) -> None:
    fitted = fit(
        training_set=training_set,
        label=label,
        manifest=manifest,
        seed=seed,
        holdout_days=holdout_days,
        shift=shift,
        behave=behave,
    )
    score(holdout=fitted.outputs["holdout"], label=label, behave=behave)
