"""The box in which code that a tenant wrote runs. Standard library only: every job environment has it."""
