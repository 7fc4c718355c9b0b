"""Checkpoints: a signed statement of how far a log reached, to be kept where who writes the log cannot.

Floor 6, beside `audit`; the only user of cryptography. `audit` asks whether a log agrees with itself, which one that
was cut off or rewritten from the beginning does. A checkpoint asks whether it is still the log that it was. It states
the root of a Merkle tree over the hashes of all events in the order of their positions, so that one event, or that one
log continues another, is proved without the rest of the log. Nothing here writes to a log.

`statements` has what is stated, signed and held against a log, `proofs` what is proved without one, `keys` the keys.
"""

from research_fsm.checkpoints.keys import load_private_key, load_public_key, new_key, public_pem
from research_fsm.checkpoints.proofs import (
    Consistency,
    Inclusion,
    continues,
    holds,
    load_consistency,
    load_inclusion,
    prove_consistency,
    prove_inclusion,
)
from research_fsm.checkpoints.statements import Checkpoint, differences, make, parse, sign, signed_by

__all__ = [
    "Checkpoint",
    "Consistency",
    "Inclusion",
    "continues",
    "differences",
    "holds",
    "load_consistency",
    "load_inclusion",
    "load_private_key",
    "load_public_key",
    "make",
    "new_key",
    "parse",
    "prove_consistency",
    "prove_inclusion",
    "public_pem",
    "sign",
    "signed_by",
]
