"""The agent process: the hub's word in, records out. The only process of a node that speaks gRPC."""
