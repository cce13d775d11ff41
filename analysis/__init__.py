"""The analysis of a listening study: answers in, results, tables, charts and a report out.

`open` gives a study, in a notebook or a program: its answers, tables by group, comparisons, charts and
report. `load` gives the validated answers alone, `founding` the table of the founding case.
"""

from importlib import import_module

__all__ = ["ResponsesError", "StudyError", "founding", "load", "open"]
_HOMES = {"open": "notebook", "StudyError": "notebook"}  # the others are in `responses`


def __getattr__(name: str):
    """Load what is asked for on demand: frames and charts take long, and a rating server needs neither."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"analysis.{_HOMES.get(name, 'responses')}"), name)
