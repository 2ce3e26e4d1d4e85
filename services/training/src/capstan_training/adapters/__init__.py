"""Outside systems behind the ports of the actions."""
