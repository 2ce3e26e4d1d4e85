"""Pure rules of training: archives, pipelines, parameters, pins, transcripts."""
