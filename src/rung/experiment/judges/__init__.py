"""Judged answers: human marks, and models as judges once they are licensed."""
