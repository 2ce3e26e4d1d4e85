"""Two steps: LightGBM on everything but the last days, then figures on these, and the package.

`classes` says what is learned: 1 is a regression, more is a classification into so many, numbered from 0.

KFP ships the source of each component alone: what a step needs is imported inside it. It reads annotations as objects,
so they are not postponed here.
"""

# ruff: noqa: PLC0415
# mypy: disable-error-code="untyped-decorator"

from kfp import dsl

IMAGE = "capstan/training:dev"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fit(
    training_set: str,
    label: str,
    manifest: str,
    seed: int,
    holdout_days: int,
    num_rounds: int,
    classes: int,
    booster: dsl.Output[dsl.Artifact],
    learn: dsl.Output[dsl.Dataset],
    holdout: dsl.Output[dsl.Dataset],
) -> None:
    """The last `holdout_days` days of event time are the holdout; a booster learns from the rows before."""
    import json
    from datetime import timedelta
    from pathlib import Path

    import lightgbm as lgb
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from capstan_formats.preprocess import Operation, Preprocessor

    time = json.loads(manifest)["label_time"]
    table = pq.read_table(training_set)
    if label not in table.column_names:
        table = table.rename_columns([label if name == "label" else name for name in table.column_names])
    table = table.filter(pc.is_valid(table[label])).sort_by([(time, "ascending"), ("item_id", "ascending")])
    cut = pa.scalar(pc.max(table[time]).as_py() - timedelta(days=holdout_days), table.schema.field(time).type)
    late = pc.greater(table[time], cut)
    parts = {learn: table.filter(pc.invert(late)), holdout: table.filter(late)}
    for artifact, part in parts.items():
        pq.write_table(part, artifact.path)
    rows = parts[learn]
    words = tuple(sorted(pc.unique(rows["built"]).drop_null().to_pylist()))
    numbers = ("outside", "area", "corner")
    preprocessor = Preprocessor(
        [*(Operation("numeric", name, name) for name in numbers), Operation("category", "built", "built", words)]
    )
    columns = {name: rows[name].to_pylist() for name in (*numbers, "built")}
    matrix = preprocessor.transform(columns, rows.num_rows)
    settings = {
        "objective": "multiclass" if classes > 1 else "regression", "num_class": classes, "learning_rate": 0.1,
        "num_leaves": 15, "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": 1,
        "verbosity": -1,
    }  # fmt: skip
    labels = rows[label].to_numpy().astype(np.float64)
    model = lgb.train(settings, lgb.Dataset(matrix, labels, params=settings), num_boost_round=num_rounds)
    folder = Path(booster.path)
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(model.model_to_string())
    (folder / "features.json").write_text(json.dumps(preprocessor.to_spec()))
    print(f"{rows.num_rows} rows learned from, {parts[holdout].num_rows} held out")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def package_model(
    booster: dsl.Input[dsl.Artifact],
    learn: dsl.Input[dsl.Dataset],
    holdout: dsl.Input[dsl.Dataset],
    label: str,
    manifest: str,
    classes: int,
    metrics: dsl.Output[dsl.Metrics],
    package: dsl.Output[dsl.Model],
) -> None:
    """Figures on the holdout, by the engine that will serve; then header, booster and baseline as a package."""
    import json
    from pathlib import Path

    import pyarrow.parquet as pq

    from capstan_engines.family import load
    from capstan_evaluation.kinds import find
    from capstan_evaluation.tasks import multiclass, regression
    from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role
    from capstan_packages.draft import draft, unpacked
    from capstan_packages.fields import Metrics, Pins
    from capstan_packages.signature import InputField, Signature, outputs_of

    task = "multiclass" if classes > 1 else "regression"
    plan, folder = json.loads(manifest), Path(booster.path)
    pins, features = plan["pins"], json.loads((folder / "features.json").read_text())
    inputs = tuple(InputField(column["name"], column["dtype"]) for column in plan["request"])
    fields = {
        "engine": "lightgbm", "members": ("model.txt",), "task": task, "name": plan["loop"], "label": label,
        "signature": Signature(inputs, outputs_of(task, classes)), "license": "CC0-1.0",
        "pins": Pins(pins["dataset_version"], pins["view_versions"], pins["code"], pins["parameters"], pins["seed"]),
    }  # fmt: skip
    header = draft(features, **fields)
    held, seen = pq.read_table(holdout.path), pq.read_table(learn.path)
    columns = {name: held[name].to_pylist() for name in ("outside", "area", "corner", "built")}
    model = load(unpacked(header, folder))
    said = model.predict(header.preprocessor().transform(columns, held.num_rows))
    truth, sketch = held[label].to_numpy(), CategorySketch if classes > 1 else NumericSketch
    if classes > 1:
        sample = multiclass.sample(truth, said["probabilities"], [str(number) for number in range(classes)])
    else:
        sample = regression.sample(truth, said["prediction"])
    names = ("accuracy", "macro_f1", "logloss") if classes > 1 else ("rmse", "mae")
    figures = {name: find(name).value(sample) for name in names}
    for name, value in figures.items():
        if value is not None:
            metrics.log_metric(name, value)
    baseline = {
        "outside": BaselineColumn(Role.FEATURE, NumericSketch.build(seen["outside"].to_pylist())),
        "area": BaselineColumn(Role.FEATURE, NumericSketch.build(seen["area"].to_pylist())),
        "corner": BaselineColumn(Role.FEATURE, NumericSketch.build(seen["corner"].to_pylist())),
        "built": BaselineColumn(Role.FEATURE, CategorySketch.build(seen["built"].to_pylist())),
        "prediction": BaselineColumn(Role.PREDICTION, sketch.build(said["prediction"].tolist())),
        label: BaselineColumn(Role.LABEL, sketch.build(seen[label].to_pylist())),
    }
    target = Path(package.path)
    target.mkdir(parents=True)
    (target / "model.json").write_bytes(draft(features, metrics=Metrics(figures, {}), **fields).to_bytes())
    (target / "model.txt").write_bytes((folder / "model.txt").read_bytes())
    (target / "baseline.json").write_bytes(Baseline(baseline).to_bytes())


@dsl.pipeline(name="flats-train")
def train(
    training_set: str,
    label: str,
    manifest: str,
    seed: int = 7,
    holdout_days: int = 10,
    num_rounds: int = 120,
    classes: int = 1,
) -> None:
    """From the training set to a package, with the holdout that the gates score it on."""
    fitted = fit(
        training_set=training_set,
        label=label,
        manifest=manifest,
        seed=seed,
        holdout_days=holdout_days,
        num_rounds=num_rounds,
        classes=classes,
    )
    package_model(
        booster=fitted.outputs["booster"],
        learn=fitted.outputs["learn"],
        holdout=fitted.outputs["holdout"],
        label=label,
        manifest=manifest,
        classes=classes,
    )
