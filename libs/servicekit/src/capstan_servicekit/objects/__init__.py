"""Content-addressed bytes behind one port: in a folder, or in an S3 store with a local cache."""
