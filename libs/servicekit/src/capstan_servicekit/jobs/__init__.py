"""Heavy work in worker processes, exec'd from the virtual environment of their group."""
