"""Who may do what: principals and permissions, safe paths, safe outgoing calls, redaction."""
