"""The model servers of the family `capstan.model_servers`: one file each."""
