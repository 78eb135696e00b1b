"""The one loop from a request to a clip, and what surrounds it: requests, checks, checkpoints."""
