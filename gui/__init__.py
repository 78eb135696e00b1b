"""The desktop app, imported as `mlxvid.gui`. It talks to a worker process and never to MLX."""
