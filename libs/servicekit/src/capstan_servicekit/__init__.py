"""The chassis of every service; it knows no business noun. Importing this package imports nothing else."""
