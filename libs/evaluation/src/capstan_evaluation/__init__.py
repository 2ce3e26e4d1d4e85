"""Tasks and metrics, each once; item-level results, intervals and paired comparisons."""
