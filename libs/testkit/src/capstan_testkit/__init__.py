"""Fakes, behaviour suites per port, real-part fixtures, builders and fault injection."""
