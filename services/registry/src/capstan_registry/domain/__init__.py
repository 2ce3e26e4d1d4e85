"""Pure rules: gates, ledger, names, what the MLflow proxy lets through."""
