"""REST bodies, one module per service. Every path starts with `/v1/projects/{project}`."""
