"""What this library raises: each message is a sentence for the person whose data or configuration it is."""

from __future__ import annotations


class EvaluationError(ValueError):
    """Base of the errors here: what cannot be evaluated, and why."""


class InvalidSample(EvaluationError):
    """Labels or predictions break a rule of their task; the message names the rule and the first row."""


class Unsuitable(EvaluationError):
    """A metric is asked of a sample of another task, or of one that lacks what the metric needs."""


class UnknownMetric(EvaluationError):
    """No metric of that name is installed, or the one that is cannot be used."""
