"""A run's winner behind an OpenAI-compatible API: what was proved is what answers."""
