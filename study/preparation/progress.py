"""What a build says while it works: one bar with the time left, or one line per step where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


class BuildProgress:
    """Progress over a whole build, whose steps have costs in the same (any) unit.

    The time left follows from the time that the finished share took. In a terminal it is a bar; otherwise a
    line is printed when a step ends, and nothing in between.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
        self.total, self.finished = 1.0, 0.0
        self._step, self._since = 0.0, time.monotonic()
        self._bar: Progress | None = None
        self._line = None

    @contextmanager
    def over(self, total: float) -> Iterator[BuildProgress]:
        """The clock runs and the bar shows inside this block. total: the sum of the costs of all steps."""
        self.total, self.finished, self._since = max(total, 1e-9), 0.0, time.monotonic()
        if not self.console.is_terminal:
            yield self
            return
        columns = (
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=self.console, transient=True) as self._bar:
            self._line = self._bar.add_task("", total=1.0, left="")
            try:
                yield self
            finally:
                self._bar = None

    @contextmanager
    def step(self, cost: float, text: str) -> Iterator[None]:
        """One step; `text` says what it does, and is printed with its time when it took any."""
        started = time.monotonic()
        self._step = cost
        self.tell(0.0, text)
        yield
        self.finished += cost
        self._step = 0.0
        self.tell(0.0, text)
        if self._bar is None and cost > 0:
            took = time.monotonic() - started
            self.console.print(
                f"{self.share:4.0%}  {text}: {spoken(took)}{self._left(', ')}", markup=False, soft_wrap=True
            )

    def tell(self, share: float, text: str) -> None:
        """Within a step: the share of it that is done (0..1), and what is being done."""
        if self._bar is not None:
            done = (self.finished + share * self._step) / self.total
            left = self._left("", done)
            self._bar.update(self._line, completed=min(1.0, done), description=text, left=left)

    def note(self, text: str) -> None:
        """A line for the researcher, above the bar."""
        (self._bar.console if self._bar else self.console).print(text, markup=False, soft_wrap=True)

    @property
    def share(self) -> float:
        """The share of the whole that is done."""
        return min(1.0, self.finished / self.total)

    def _left(self, before: str, done: float | None = None) -> str:
        done = self.share if done is None else done
        elapsed = time.monotonic() - self._since
        if done >= 1.0 or done <= 0.005 or elapsed < 2.0:
            return ""
        return f"{before}{spoken(elapsed * (1 - done) / done)} left"


def spoken(seconds: float) -> str:
    """A length of time as people say it: "0.4 s", "35 s", "4 min", "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
