"""What the edge registers in `edgewise.commands`: argument parsing and printing, nothing else."""
