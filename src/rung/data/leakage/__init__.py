"""Copies and leaks: the same question twice, in another split, in the documents or in another data set."""
