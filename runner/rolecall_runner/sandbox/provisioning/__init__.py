"""Creating in the sandbox what a manifest plans."""
