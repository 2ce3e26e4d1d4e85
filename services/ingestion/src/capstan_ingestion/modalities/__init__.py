"""What an item of a dataset is: one modality per folder."""
