"""Drafting: questions and answers that a model writes from passages of documents, sieved, marked synthetic and kept."""
