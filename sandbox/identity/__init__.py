"""User-assigned identities, sign-in, tokens and the access probe."""
