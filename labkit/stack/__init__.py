"""The servers: lab time, rendered configuration, processes, and clients for their APIs."""
