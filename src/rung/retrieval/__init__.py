"""Chunks and indexes: finding passages and training examples."""
