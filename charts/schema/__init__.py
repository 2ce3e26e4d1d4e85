"""The values of the charts, as models: values.yaml and values.schema.json of each chart are generated from them."""
