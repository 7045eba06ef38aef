"""A site: the folder of small YAML files in which its owner decides what is shown where, by which rule or model."""
