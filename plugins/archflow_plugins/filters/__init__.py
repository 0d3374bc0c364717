"""Filters outside the gateway: over HTTP with the body as it is, over MCP as a tool, or as an agent with messages."""
