"""Output formats, one module each; `registry` describes how to add one."""
