"""The report: reads the run folder, computes nothing."""
