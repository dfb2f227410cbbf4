"""The function app in the published worker library, in front of the local Azure."""
