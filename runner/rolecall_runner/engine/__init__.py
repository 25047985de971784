"""Runs one task over many targets: serial or threads behind one interface; what fails for one target is a value."""
