"""The one seam to Azure: sign-in, throttling, ARM, Resource Graph, failures and memory."""
