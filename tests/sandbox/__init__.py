"""The local Azure answers as the recordings and the documentation say."""
