"""Base models on the same questions: quality against what they take."""
