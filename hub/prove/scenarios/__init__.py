"""What can be proven, each a module of its own: `run(lab, order)` breaks something and returns its figures."""
