"""A platform on Kubernetes, reached from this machine: addresses and token are found with kubectl, ports forwarded."""
