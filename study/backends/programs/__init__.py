"""Programs of their own that backends run, and how they are run: supervised, time-limited, logged."""
