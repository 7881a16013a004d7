"""What tuning did to a candidate besides the task: forgetting, unseen cases, overfitting, memorising."""
