"""When two things are the same: descriptions and hashes of what they hold, not of what they are called."""

from gahb_theory.identity.code import Seen, class_name, describe_function, is_function, main_module, unseen
from gahb_theory.identity.content import IDENTITY_NAME, fingerprint, function_identity, identity
from gahb_theory.identity.hashing import differences, digest, hash_array, hash_files

__all__ = [
    "IDENTITY_NAME",
    "Seen",
    "class_name",
    "describe_function",
    "differences",
    "digest",
    "fingerprint",
    "function_identity",
    "hash_array",
    "hash_files",
    "identity",
    "is_function",
    "main_module",
    "unseen",
]
