"""Served traffic in a database: every answer, what people said of it, and who may ask."""
