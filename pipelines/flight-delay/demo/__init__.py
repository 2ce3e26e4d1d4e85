"""The story that `make demo` tells: the whole loop on real flights, judged step by step."""
