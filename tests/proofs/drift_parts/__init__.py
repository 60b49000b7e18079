"What tests/proofs/drift.py is made of."
