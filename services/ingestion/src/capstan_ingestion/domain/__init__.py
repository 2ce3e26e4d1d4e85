"""Rules of datasets, batches, contracts and versions: no I/O, no framework, no clock."""
