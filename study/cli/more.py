"""`study more`: a next round for one listener, and what the command says of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.console import Console

from study.cli import build as building
from study.cli import sounds
from study.folder import StudyFolder


def lines(
    study: StudyFolder, listener: str, *, clips: int | None, fresh: float | None, dry_run: bool
) -> Iterator[str]:
    """Make a round, or choose it alone, and yield what is to be printed. No line tells what was chosen.

    Raises the errors of `study.rounds.building.more`.
    """
    from study.build.progress import BuildProgress
    from study.rounds import building as rounds

    console = Console(highlight=False)
    with building.ending_in_order():
        made = rounds.more(
            study, listener, clips=clips, fresh=fresh, dry_run=dry_run, progress=BuildProgress(console)
        )
    counts = f"{made.sampled} chosen by what was answered, {made.fresh} drawn evenly"
    originals = f"{made.originals} original{'s' * (made.originals != 1)}"
    yield f"Round {made.number} for {made.listener}: {counts}, and {originals}."
    if dry_run:
        yield "Nothing was made."
        return
    if made.audit is not None:
        sounds.show_audit(made.audit, console)
    yield f"It is in {made.folder.path}. To look into that folder is to be unblinded to this round."
    where = shlex.quote(str(study.path))
    yield f"{made.listener}'s personal link opens it, as soon as the study is served: study links {where}"
