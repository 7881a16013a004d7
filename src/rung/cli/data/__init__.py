"""`rung data`: from dirty files to a frozen, documented data set; one file here for each command."""
