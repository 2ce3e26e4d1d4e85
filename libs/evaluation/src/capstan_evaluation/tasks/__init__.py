"""One module per task: it checks labels and predictions and makes the sample that metrics take."""
