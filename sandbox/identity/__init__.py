"""User-assigned identities, identity blocks, sign-in and the access probe."""
