"""The event spool: framed segment files, written by workers, shipped by the agent."""
