"""Backends: one file for each way to reach a model or an encoder."""
