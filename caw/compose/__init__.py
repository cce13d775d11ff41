"""Composing by plan: what is asked of new music, in tempo, metre, form and chords.

`plan` holds the plan and its file, `chords` reads and recognises chords, `hearing` finds in a clip what a
plan says. Pitch classes are counted from C up.
"""
