"""Data sets that keep every version: content-addressed rows, what was done to them, and a datasheet."""
