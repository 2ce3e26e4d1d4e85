"""The gates, one file each, found by the entry points `capstan.gates`; run in a worker process (decide.py)."""
