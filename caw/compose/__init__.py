"""Composing by plan: new music of a given tempo, metre, form and harmony.

`plan` holds plans and their files, `chords` reads and recognises chords, `transcription` estimates the plan
of a clip. `timeline` is the form in which clips and new music are analysed and described, `arranging` and
`bridging` make timelines from plans, and `guide` shows them to a network. Pitch classes are counted from C
up.
"""
