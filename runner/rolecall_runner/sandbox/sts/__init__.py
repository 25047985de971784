"""STS of the sandbox: sessions, and the decision on AssumeRole."""
