"""Metrics: each scores answers one by one and aggregates sums of their parts."""
