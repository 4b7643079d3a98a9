"""What the documentation's site is made of beside what is written in ``docs/``."""
