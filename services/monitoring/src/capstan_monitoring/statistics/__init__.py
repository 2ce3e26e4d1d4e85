"""The drift statistics, one file each, found by the entry points `capstan.statistics`; run in worker processes."""
