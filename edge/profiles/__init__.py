"""The node's profile cache: an LMDB file that workers and agent share."""
