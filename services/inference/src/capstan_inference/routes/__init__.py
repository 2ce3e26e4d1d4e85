"""The HTTP API of the control; predictions go to the model server itself."""
