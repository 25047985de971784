"""The sandbox's HTTP server and its state on disk."""
