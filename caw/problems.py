"""Problems that a user can solve: what is wrong, and what to do about it.

Commands print such a problem as one line, "what is wrong; what to do", and end with exit code 2
(`caw.cli.command_line`). Tests and pages can ask for the two halves.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What is wrong, naming the value, and what to do about it.

    Examples
    --------
    >>> print(Problem("epochs = 0 is too few", "give 1 or more"))
    epochs = 0 is too few; give 1 or more
    """

    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}" if self.fix else self.what


class ProblemError(ValueError):
    """The base of errors that a user can solve.

    Parameters
    ----------
    what : str
        What is wrong. It names the value, and the file or setting that holds it.
    fix : str, optional
        What to do about it, in the imperative.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what, fix)  # both are arguments, so that an error survives pickling

    @property
    def problem(self) -> Problem:
        """The two halves of the message."""
        return Problem(str(self.args[0]), str(self.args[1]) if len(self.args) > 1 else "")

    def __str__(self) -> str:
        return str(self.problem)
