"""The executors of the family `capstan.executors`: one file each."""
