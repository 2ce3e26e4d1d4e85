"""The model server's process and the spool of its log."""
