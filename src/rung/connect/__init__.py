"""Rung's passages and answers inside other frameworks: LangChain, LlamaIndex, and MCP clients."""
