"""From the bytes of one file to blocks of text with their structure: one file here for each format."""
