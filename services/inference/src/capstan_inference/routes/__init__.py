"""The HTTP door of the control; predictions go to the model server's own door."""
