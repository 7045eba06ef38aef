"""One definition of a feature for serving and for training, compiled to one vectorised pass."""
