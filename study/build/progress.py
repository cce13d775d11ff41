"""How far a build is: bars with the time left in a terminal, or one line per step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

_ROWS = 8  # bars of running parts at once; a cluster runs more
_WIDTH, _NARROWEST = 24, 4  # of a bar, in letters; it gives way to the text beside it
_BESIDE = 15  # letters of share and time, and between the columns
_NAMED = 3  # running parts that a line in a log names
_SILENCE = 300.0  # s after which a line is printed, although no part has ended


@dataclass
class _Part:
    """A part of the build that is running."""

    cost: float
    began: float
    text: str = ""
    behind: float = 0.0  # cost of what the same worker has to do afterwards
    share: float = 0.0
    row: TaskID | None = None


class BuildProgress:
    """Progress over a whole build.

    Its parts have costs in one unit, whatever that is, and may overlap. The time left follows from the time
    that the finished share took, or from the longest chain of parts at the pace of one worker if that is
    longer, because in the end the other workers have nothing to do. In a terminal there is a bar for the
    whole and one for each running part. Elsewhere a line is printed when a part ends, and every 5 minutes
    where none does.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to print. By default the terminal.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
        self.total, self.finished = 1.0, 0.0
        self._began_at = self._printed_at = self._counted_at = time.monotonic()
        self._work_seconds = 0.0  # of all workers together
        self._parts: dict[Hashable, _Part] = {}
        self._bars: Progress | None = None
        self._bar = BarColumn(bar_width=_WIDTH)
        self._whole = None
        self._state = ""
        self._warned: set[str] = set()

    @contextmanager
    def over(self, total: float) -> Iterator[BuildProgress]:
        """Run the clock and show the bars inside this block. total: the sum of the costs of all parts."""
        self.total, self.finished = max(total, 1e-9), 0.0
        self._began_at = self._printed_at = self._counted_at = time.monotonic()
        self._work_seconds, self._state = 0.0, ""
        self._parts.clear()
        if not self.console.is_terminal:
            yield self
            return
        self._bar = BarColumn(bar_width=_WIDTH)
        columns = (
            self._bar,
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=self.console, transient=True) as self._bars:
            self._whole = self._bars.add_task("", total=1.0)
            try:
                yield self
            finally:
                self._bars = None

    @contextmanager
    def step(self, cost: float, text: str) -> Iterator[None]:
        """Run one part inside this block. text: what it does; it is printed if the part took any time."""
        self.begin(None, cost, text)
        yield
        self.end(None, text)

    def begin(self, part: Hashable, cost: float, text: str, behind: float = 0.0) -> None:
        """Begin a part; one that was begun before begins anew.

        behind: the cost of what the same worker has to do afterwards.
        """
        self.drop(part)
        row = None
        if self._bars is not None and sum(other.row is not None for other in self._parts.values()) < _ROWS:
            row = self._bars.add_task(text, total=1.0)
        self._parts[part] = _Part(cost, time.monotonic(), text, behind, row=row)
        self._show()

    def update(self, share: float, text: str, part: Hashable = None) -> None:
        """Update a running part, by default the step: the share that is done (0 to 1) and what it does."""
        running = self._parts.get(part)
        if running is None:
            return
        running.share, running.text = share, text
        if self._bars is not None and running.row is not None:
            self._bars.update(running.row, completed=min(1.0, share), description=text)
        self._show()

    def end(self, part: Hashable, text: str) -> None:
        """End a running part. text: what it was; "" prints nothing, for example because the part failed."""
        running = self.drop(part)
        self.finished += running.cost
        self._show()
        if self._bars is None and running.cost > 0 and text:
            seconds = in_words(time.monotonic() - running.began)
            state = ", ".join(filter(None, (self._state, self._left(running.behind))))
            self._line(f"{self.share:4.0%}  {text}: {seconds}{state and '; '}{state}")

    def drop(self, part: Hashable) -> _Part | None:
        """Stop a part that is not done."""
        self._count()
        running = self._parts.pop(part, None)
        if running and running.row is not None and self._bars is not None:
            self._bars.remove_task(running.row)
        return running

    def state(self, text: str) -> None:
        """Set the text on the whole build, such as "3 of 12 cells done"."""
        self._state = text
        self._show()

    def note(self, text: str) -> None:
        """Print a line for the researcher, above the bars."""
        self._line(text)

    def warn(self, text: str) -> None:
        """Print a warning about a sound: each kind once for a file, however many pieces of it are read."""
        kind = text.rsplit(" (", 1)[0]  # the file's own name may contain a bracket
        if kind not in self._warned:
            self._warned.add(kind)
            self.note(f"warning: {text}")

    @property
    def share(self) -> float:
        """The share of the whole that is done, running parts included."""
        running = sum(part.share * part.cost for part in self._parts.values())
        return min(1.0, (self.finished + running) / self.total)

    def _line(self, text: str) -> None:
        self._printed_at = time.monotonic()
        (self._bars.console if self._bars else self.console).print(text, markup=False, soft_wrap=True)

    def _show(self) -> None:
        state = ", ".join(filter(None, (self._state, self._left())))
        if self._bars is not None:
            room = self.console.width - _BESIDE - len(state)
            self._bar.bar_width = max(_NARROWEST, min(self._bar.bar_width, room))
            self._bars.update(self._whole, completed=self.share, description=state)
        elif state and time.monotonic() - self._printed_at >= _SILENCE:
            running = [part.text for part in self._parts.values() if part.text][:_NAMED]
            self._line(f"{self.share:4.0%}  {state}{': ' if running else ''}{'; '.join(running)}")

    def _count(self) -> None:
        """Add up how long the workers have worked."""
        now = time.monotonic()
        self._work_seconds += (now - self._counted_at) * len(self._parts)
        self._counted_at = now

    def _left(self, next_up: float = 0.0) -> str:
        """The time left, in words. next_up: the cost of what a worker goes on to that just ended a part."""
        done, elapsed = self.share, time.monotonic() - self._began_at
        if done >= 1.0 or done <= 0.005 or elapsed < 2.0:
            return ""
        self._count()
        chains = [(1 - min(1.0, part.share)) * part.cost + part.behind for part in self._parts.values()]
        longest = max([next_up, *chains]) * self._work_seconds / (done * self.total)
        return f"{in_words(max(elapsed * (1 - done) / done, longest))} left"


def in_words(seconds: float) -> str:
    """A length of time in words.

    Examples
    --------
    >>> in_words(0.4), in_words(35), in_words(7800)
    ('0.4 s', '35 s', '2 h 10 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
