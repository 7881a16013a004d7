"""Watching a run from outside: its figures sent to TensorBoard or MLflow, kept in a queue until they have arrived."""
