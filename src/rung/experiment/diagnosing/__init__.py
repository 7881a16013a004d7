"""Why answers go wrong, and how steady they are."""
