"""Methods: each fills a candidate's slots with parts of floor 2."""
