"""The sandbox's HTTP server, the request pipeline, and the state directory of a sandbox process."""
