"""The nouns, the answer path, the registry and the errors: what everything else is made of."""
