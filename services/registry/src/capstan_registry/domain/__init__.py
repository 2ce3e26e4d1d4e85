"""Pure rules: gates, ledger, names, what MLflow's door lets through."""
