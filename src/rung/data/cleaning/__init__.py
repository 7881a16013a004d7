"""Cleaning in named steps: what each does to texts and rows, how much it touched, and samples to look at."""
