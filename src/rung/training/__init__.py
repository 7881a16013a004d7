"""Training: rows, the loop, checkpoints, and the child process they run in."""
