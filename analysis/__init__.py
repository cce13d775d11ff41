"""The analysis of a listening study: answers in, results, tables, charts and a report out.

`open` gives a study, in a notebook or a program: its answers, tables by group, comparisons, charts and
report. `load` gives the validated answers alone, `founding` the table of the founding case.
"""

from analysis.responses import ResponsesError, founding, load

__all__ = ["ResponsesError", "StudyError", "founding", "load", "open"]


def __getattr__(name: str):
    if name in ("open", "StudyError"):  # on demand, as charts take long to import
        from analysis import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
