"""What a person may ask of a hub: a copy of everything (`export`), and to be forgotten everywhere (`erasure`).

`person` says whom a command means, `stores` where people may be found beside the ledger, `certificate` what was removed
and which nodes have followed; `retention` deletes by age.
"""
