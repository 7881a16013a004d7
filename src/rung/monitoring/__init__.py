"""Whether what is served is still what was proved: drift of questions, answers, retrieval, speed and cost, with its cause."""
