"""Pure rules of serving: what a loop asks for, which promotion counts, what a logged prediction tells."""
