"""The analysis of a listening study: answers in, results, tables, charts and a report out.

`load` gives the validated frame, `analysis.statistics.evaluate` results, `analysis.report.write` the page.
"""

from analysis.responses import ResponsesError, founding, load

__all__ = ["ResponsesError", "founding", "load"]
