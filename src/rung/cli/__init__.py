"""The command line: parses, calls a function of the same name, prints."""
