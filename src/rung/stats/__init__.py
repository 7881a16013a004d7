"""Pure statistics: intervals, paired comparisons, power. No models, no files."""
