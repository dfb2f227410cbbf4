"""The one seam to Azure: sign-in, throttling, ARM, Resource Graph and the table of failures."""
