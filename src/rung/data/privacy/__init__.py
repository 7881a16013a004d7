"""Personal data: found by rules in Chinese and English text, masked with consistent pseudonyms, and reported masked."""
