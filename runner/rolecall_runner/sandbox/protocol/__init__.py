"""HTTP types, error replies and injected faults of the sandbox."""
