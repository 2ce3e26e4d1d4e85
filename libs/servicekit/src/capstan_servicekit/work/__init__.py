"""Leased work: queue, lease with a fencing token, and the loop that claims and runs items."""
