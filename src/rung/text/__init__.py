"""Pure functions on text, Chinese and English alike: normal forms, tokens, scripts, post-processing steps."""
