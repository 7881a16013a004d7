"""The only orchestrator: plan, run, evaluate, decide."""
