"""Model packages: one header for all kinds, members per kind, read and written as a stream."""
