"""What the hub registers in `edgewise.commands`: argument parsing and printing, nothing else."""
