"""Whether a request to the sandbox is allowed."""
