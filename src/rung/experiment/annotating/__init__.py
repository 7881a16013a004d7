"""Annotation: which rows first, what each annotator said, how far they agree, and a new version of the data set."""
