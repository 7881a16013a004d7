"""Rung finds the cheapest way to make a language model good enough at one job, and proves it on held-out questions."""
