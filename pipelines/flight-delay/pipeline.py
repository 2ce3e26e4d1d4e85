"""The training pipeline: split by time, train, evaluate, sketch, package. Compiled by KFP and run step by step.

KFP ships the source text of each component alone: what a step needs is imported inside it, and it calls nothing else of
this file. It reads annotations as objects, so they are not postponed here. Only `train_booster` imports LightGBM (2 s);
scoring goes through the engine that serves the model.
"""

# ruff: noqa: PLC0415
# mypy: disable-error-code="untyped-decorator"

from kfp import dsl

IMAGE = "capstan/training:dev"
"""Where the steps run on a cluster. Locally they run in the environment of the training service."""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def split_by_time(
    training_set: str,
    label: str,
    manifest: str,
    holdout_days: int,
    learn: dsl.Output[dsl.Dataset],
    holdout: dsl.Output[dsl.Dataset],
) -> None:
    """The last `holdout_days` UTC days of label time become the holdout; the model never learns from them.

    Reads what the platform joined: `item_id`, the label (under its own name or as `label`), the label's time, request
    columns and `<view>__<feature>` columns. Both outputs have the same columns; rows are in order of time, then item.
    """
    import json

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    plan = json.loads(manifest)
    time = plan["label_time"]
    table = pq.read_table(training_set)
    given = label if label in table.column_names else "label"
    table = table.filter(pc.is_valid(table[given])).sort_by([(time, "ascending"), ("item_id", "ascending")])
    inputs = [column["name"] for column in plan["request"]]
    for lookup in plan["lookups"]:
        inputs += [f"{lookup['view']}__{name}" for name in [*(c["name"] for c in lookup["columns"]), "event_ts"]]
    columns = {"item_id": table["item_id"], label: table[given].cast(pa.int8())}
    table = pa.table(columns | {name: table[name] for name in dict.fromkeys([time, *inputs])})
    if table.num_rows == 0:
        raise ValueError("the training set has no labelled row")
    day = 86_400_000_000
    instants = table[time].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    cut = (pc.max(instants).as_py() // day + 1 - holdout_days) * day
    late = pc.greater_equal(instants, cut)
    parts = {learn: table.filter(pc.invert(late)), holdout: table.filter(late)}
    for artifact, part in parts.items():
        if not 0 < pc.sum(part[label]).as_py() < part.num_rows:
            raise ValueError(f"{artifact.name}: {part.num_rows} rows do not hold both labels ({holdout_days=})")
        pq.write_table(part, artifact.path, compression="zstd")
        artifact.metadata["rows"] = part.num_rows
        print(f"{artifact.name}: {part.num_rows} rows, {pc.mean(part[label]).as_py():.3f} late")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_booster(
    learn: dsl.Input[dsl.Dataset],
    label: str,
    manifest: str,
    seed: int,
    num_rounds: int,
    learning_rate: float,
    num_leaves: int,
    shuffle_labels: bool,
    booster: dsl.Output[dsl.Artifact],
) -> None:
    """A LightGBM booster and its preprocessing as data. The same rows, parameters and seed give the same bytes.

    `shuffle_labels` gives the rows labels that are not theirs: a model that has learned nothing, to try the gates with.
    """
    import json
    from pathlib import Path

    import lightgbm as lgb
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from capstan_formats.preprocess import Operation, Preprocessor

    plan = json.loads(manifest)
    table = pq.read_table(learn.path)
    time, words = plan["label_time"], ("carrier", "origin", "dest")
    numbers = ["distance", *(f"{lookup['view']}__{c['name']}" for lookup in plan["lookups"] for c in lookup["columns"])]
    seen = {name: sorted(pc.unique(table[name]).drop_null().to_pylist()) for name in words}
    preprocessor = Preprocessor([
        *(Operation("category", name, name, tuple(seen[name])) for name in words),
        *(Operation("numeric", name, name) for name in numbers),
        *(Operation(op, time, f"{time}_{op}", tz="America/New_York") for op in ("hour", "minute", "weekday")),
    ])  # fmt: skip
    columns = {n: table[n].to_pylist() if n in words else table[n].to_numpy() for n in preprocessor.inputs}
    matrix, named = preprocessor.transform(columns, table.num_rows), preprocessor.columns
    labels = table[label].to_numpy().astype(np.float64)
    if shuffle_labels:
        labels = np.random.default_rng(seed).permutation(labels)
    parameters = {
        "objective": "binary", "learning_rate": learning_rate, "num_leaves": num_leaves, "min_data_in_leaf": 200,
        "feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1, "cat_smooth": 50.0,
        "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": 2, "verbosity": -1,
    }  # fmt: skip
    rows = lgb.Dataset(matrix, labels, feature_name=named, categorical_feature=list(words), params=parameters)
    model = lgb.train(parameters, rows, num_boost_round=num_rounds)
    folder = Path(booster.path)
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(model.model_to_string())
    (folder / "features.json").write_text(json.dumps(preprocessor.to_spec()))
    print(f"trained {model.num_trees()} trees on {table.num_rows} rows x {matrix.shape[1]} columns")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_booster(
    booster: dsl.Input[dsl.Artifact],
    holdout: dsl.Input[dsl.Dataset],
    label: str,
    items: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    slices: dsl.Output[dsl.Artifact],
) -> None:
    """AUC, log loss and Brier score on the holdout, overall and per carrier, and the item-level table behind them."""
    import json
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

    from capstan_engines.family import load
    from capstan_evaluation.calibration import calibration
    from capstan_evaluation.figures import figures
    from capstan_evaluation.items import ALL, ItemTable
    from capstan_evaluation.kinds import find
    from capstan_evaluation.tasks import binary
    from capstan_packages.draft import draft, unpacked

    folder = Path(booster.path)
    header = draft(json.loads((folder / "features.json").read_text()), engine="lightgbm", members=("model.txt",))
    preprocessor, model = header.preprocessor(), load(unpacked(header, folder))
    words = {operation.column for operation in preprocessor.operations if operation.op == "category"}
    table = pq.read_table(holdout.path)
    columns = {n: table[n].to_pylist() if n in words else table[n].to_numpy() for n in preprocessor.inputs}
    scores = model.predict(preprocessor.transform(columns, table.num_rows))["prediction"]
    wanted = [find(name) for name in ("auc", "logloss", "brier")]
    sample = binary.sample(table[label].to_numpy(), scores)
    judged = ItemTable.of(
        table["item_id"].to_pylist(),
        sample,
        metrics=wanted,
        slices={"carrier": columns["carrier"]},
    )
    pq.write_table(pa.table(judged.columns()), items.path, compression="zstd")
    by_slice: dict[str, dict[str, float | None]] = {}
    for metric in wanted:
        for name, figure in figures(judged, metric).items():
            by_slice.setdefault(name, {"rows": figure.rows})[metric.name] = figure.value
    overall = by_slice.pop(ALL)
    by_carrier = {name.removeprefix("carrier="): values for name, values in by_slice.items()}
    for name, value in {**overall, "calibration_error": calibration(sample).error}.items():
        if value is not None:
            metrics.log_metric(name, value)
    Path(slices.path).write_text(json.dumps({"overall": overall, "slices": {"carrier": by_carrier}}))
    print(" ".join(f"{name}={value:.4f}" for name, value in overall.items() if value is not None))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def sketch_baseline(
    booster: dsl.Input[dsl.Artifact],
    learn: dsl.Input[dsl.Dataset],
    holdout: dsl.Input[dsl.Dataset],
    items: dsl.Input[dsl.Dataset],
    label: str,
    manifest: str,
    baseline: dsl.Output[dsl.Artifact],
) -> None:
    """What the data looked like: sketches of the columns that the model reads, its predictions and the label.

    The baseline holds every row that was learned from or held out, but a view's columns only from the first moment at
    which the view had anything to say: before the first month had landed there was no history, and there will never be
    such a time again. Predictions are those on the holdout; on rows it has learned a model is too sure of itself.
    """
    import json
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from capstan_formats.preprocess import Preprocessor
    from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role

    plan = json.loads(manifest)
    table = pa.concat_tables([pq.read_table(learn.path), pq.read_table(holdout.path)])
    time, views = table[plan["label_time"]], {lookup["view"] for lookup in plan["lookups"]}
    columns = {}
    spec = json.loads((Path(booster.path) / "features.json").read_text())
    for operation in Preprocessor.from_spec(spec).operations:
        name, view = operation.column, operation.column.partition("__")[0]
        if name == plan["label_time"]:
            continue
        seen = table[name]
        if view in views:
            first = pc.min(time.filter(pc.is_valid(table[f"{view}__event_ts"])))
            seen = seen.filter(pc.greater_equal(time, first)) if first.is_valid else seen
        values = seen.to_pylist()
        sketch = CategorySketch.build(values) if operation.op == "category" else NumericSketch.build(values)
        columns[name] = BaselineColumn(Role.FEATURE, sketch)
    said = pq.read_table(items.path, filters=[("metric", "=", "prediction"), ("slice", "=", "")])
    scores = said["value"].to_numpy()
    columns["prediction"] = BaselineColumn(Role.PREDICTION, NumericSketch.build(scores))
    columns[label] = BaselineColumn(Role.LABEL, NumericSketch.build(table[label].to_numpy()))
    Path(baseline.path).write_bytes(Baseline(columns).to_bytes())


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def package_model(
    booster: dsl.Input[dsl.Artifact],
    baseline: dsl.Input[dsl.Artifact],
    slices: dsl.Input[dsl.Artifact],
    label: str,
    manifest: str,
    parameters: dict,  # type: ignore[type-arg]
    package: dsl.Output[dsl.Model],
) -> None:
    """The folder of a model package: booster, drift baseline, and the header with signature, lookups and pins."""
    import json
    from pathlib import Path

    from capstan_formats.preprocess import KeySource
    from capstan_packages.fields import EntityLookup, Metrics, Pins
    from capstan_packages.kinds.model import ModelHeader
    from capstan_packages.signature import InputField, Signature, outputs_of

    plan = json.loads(manifest)

    def key(column: str) -> KeySource:
        """The request column itself, or the one whose full hour the derived column is."""
        rule = plan["derived"].get(column)
        hour = rule and rule.removeprefix("floor_hour(").removesuffix(")")
        return KeySource(hour, "floor_hour") if hour else KeySource(column)

    inputs = [InputField(column["name"], column["dtype"]) for column in plan["request"]]
    lookups = []
    for lookup in plan["lookups"]:
        view, ttl = lookup["view"], lookup["ttl_s"]
        names = {f"{view}__{column['name']}": column["dtype"] for column in lookup["columns"]}
        inputs += [InputField(name, dtype, view) for name, dtype in names.items()]
        keys = {name: key(source) for name, source in lookup["keys"].items()}
        lookups.append(EntityLookup(view, lookup["version"], keys, tuple(names), None if ttl is None else int(ttl)))
    folder, pins, figures = Path(booster.path), plan["pins"], json.loads(Path(slices.path).read_text())
    settings = {**pins["parameters"], **parameters}
    header = ModelHeader(
        name=plan["loop"],
        engine="lightgbm",
        task="binary",
        members=("model.txt",),
        signature=Signature(tuple(inputs), outputs_of("binary")),
        features=tuple(json.loads((folder / "features.json").read_text())),
        lookups=tuple(lookups),
        label=label,
        metrics=Metrics(figures["overall"], figures["slices"]),
        pins=Pins(pins["dataset_version"], pins["view_versions"], pins["code"], settings, pins["seed"]),
        license="CC0-1.0",
    )
    target = Path(package.path)
    target.mkdir(parents=True)
    (target / "model.json").write_bytes(header.to_bytes())
    (target / "model.txt").write_bytes((folder / "model.txt").read_bytes())
    (target / "baseline.json").write_bytes(Path(baseline.path).read_bytes())


@dsl.pipeline(name="flight-delay-train")
def train(
    training_set: str,
    label: str,
    manifest: str,
    seed: int = 7,
    holdout_days: int = 14,
    num_rounds: int = 150,
    learning_rate: float = 0.05,
    num_leaves: int = 15,
    shuffle_labels: bool = False,
) -> None:
    """From the joined training set to a package, with the holdout that the gates score it on."""
    rows = split_by_time(training_set=training_set, label=label, manifest=manifest, holdout_days=holdout_days)
    trained = train_booster(
        learn=rows.outputs["learn"],
        label=label,
        manifest=manifest,
        seed=seed,
        num_rounds=num_rounds,
        learning_rate=learning_rate,
        num_leaves=num_leaves,
        shuffle_labels=shuffle_labels,
    )
    judged = evaluate_booster(booster=trained.output, holdout=rows.outputs["holdout"], label=label)
    sketched = sketch_baseline(
        booster=trained.output,
        learn=rows.outputs["learn"],
        holdout=rows.outputs["holdout"],
        items=judged.outputs["items"],
        label=label,
        manifest=manifest,
    )
    package_model(
        booster=trained.output,
        baseline=sketched.output,
        slices=judged.outputs["slices"],
        label=label,
        manifest=manifest,
        parameters={
            "num_rounds": num_rounds,
            "learning_rate": learning_rate,
            "num_leaves": num_leaves,
            "holdout_days": holdout_days,
            "shuffle_labels": shuffle_labels,
        },
    )
