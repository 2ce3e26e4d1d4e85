"""Validates Parquet files with Great Expectations itself. Run by the contract tests in the ingestion environment.

Arguments: suite JSON, Parquet files. Prints as JSON what did not hold: {file: {key: row numbers, or null where the
expectation is not about rows}}.
"""

import json
import os
import sys
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the package is imported
warnings.simplefilter("ignore")

import great_expectations as gx  # noqa: E402
import pandas as pd  # noqa: E402
from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: E402

FORMAT = {"result_format": "COMPLETE", "partial_unexpected_count": 0, "return_unexpected_index_query": False}


def main() -> None:
    suite_path, *files = sys.argv[1:]
    with open(suite_path) as file:
        spec = json.load(file)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    suite = gx.ExpectationSuite(name=spec["name"], expectations=spec["expectations"], meta=spec.get("meta"))
    verdicts = {}
    for path in files:
        batch = context.data_sources.pandas_default.read_dataframe(pd.read_parquet(path))
        results = batch.validate(suite, result_format=FORMAT).to_json_dict()["results"]
        verdicts[path] = {
            one["expectation_config"]["meta"]["key"]: one["result"].get("unexpected_index_list")
            for one in results
            if not one["success"]
        }
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
