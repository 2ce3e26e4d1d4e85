"""The host of a model server in a pod: package in, data plane up, log out."""
