"""Export: a tuned candidate as files for other engines, and the proof that they answer like it."""
