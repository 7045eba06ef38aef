"""The hub's side of the three gRPC services; message types stay in here.

`admission` asks for a token, `distribution` offers releases and hands out their bytes, `fleet` remembers what nodes
answered, `uplink` takes what they saw through the `inbox`, `profiles` pushes to whoever shows `interest`, `server` puts
them on a port.
"""
