"""Work that runs in the training environment: the only place where KFP is imported and user code runs."""
