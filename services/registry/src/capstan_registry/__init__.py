"""Guards the proxy of the model registry: gates, promotions and the ledger of every decision."""
