"""What a task needs before anything is spent: which rungs are possible, and which come first."""
