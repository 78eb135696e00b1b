"""This project's own family: 3D VAE, text encoder, and a transformer with factored attention."""
