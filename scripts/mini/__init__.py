"""What the embedded model is made of before it is weights: its drawn world, its training, its
detector.
"""
