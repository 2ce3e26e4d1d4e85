"""Behaviour suites: written once per port, inherited for the fake and for each real adapter."""
