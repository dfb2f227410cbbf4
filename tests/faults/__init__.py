"""One wrong answer, or one death, at every single call: nothing live is lost at any moment."""
