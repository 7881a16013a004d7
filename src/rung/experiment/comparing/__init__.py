"""Answers that other systems have given, compared with the same statistics."""
