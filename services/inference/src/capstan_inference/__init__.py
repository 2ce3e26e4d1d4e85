"""Serves models: deployments, canary, shadow, rollback, and the model server itself."""
