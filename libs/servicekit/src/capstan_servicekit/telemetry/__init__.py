"""What a service says about itself: logs, metrics and the W3C trace context."""
