"""Poisoned documents among the real ones, and how often they steer an answer."""
