"""The security review of a module: its content and its output as a PDF."""
