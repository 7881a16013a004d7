"""From files to examples, documents and frozen splits."""
