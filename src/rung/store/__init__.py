"""The run folder: atomic writes, append logs, locks."""
