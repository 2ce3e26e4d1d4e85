"""Job workers and the DVC store, behind the ports of the actions."""
