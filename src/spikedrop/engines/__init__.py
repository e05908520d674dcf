"""Programs that run spiking networks, and what each can run.

`reference` is the definition, in NumPy; `compiled` and `events` are fast; Nengo and NengoDL stand
beside them.
"""
