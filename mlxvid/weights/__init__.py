"""Weights: reading, loading, quantizing, LoRAs."""
