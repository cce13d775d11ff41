"""A backend for tests: pieces of the passage in another order, made within milliseconds.

Being found shows what the interface promises: another backend is one file in the folder.
"""

import numpy as np

from caw import audio
from study.backends import BackendError, Clip, Cost, seed_for


class TinyBackend:
    name = "tiny"
    needs = "nothing"
    modes = ("UMG", "VAR")
    counts_epochs = True
    made: list[str] = []  # every clip made in this process, for tests to look at

    def unavailable_reason(self):
        return ""

    def validate(self, options, folder):
        for key, value in options.items():
            if key not in ("level", "rate", "stops_after"):
                raise BackendError(f"unknown option {key!r}; tiny has level, rate, stops_after", key=key)
            if not isinstance(value, int | float):
                raise BackendError(f"{key} is {value!r}; write a number", key=key)

    def recipe(self, task):
        return {key: task.options[key] for key in ("level", "rate") if key in task.options}

    def shared_job(self, task):
        return f"{task.cell.training_name}-{task.cell.epochs}"

    def artifacts(self, task):
        return (f"{task.cell.training_name}-{task.cell.epochs}",)

    def costs(self, task):
        train = {f"train {task.cell.training_name}-{task.cell.epochs}": Cost(5.0, 1e6)}
        return train | dict.fromkeys(task.names, Cost(0.1))

    def make(self, task, progress):
        progress(0.0, "train")
        rate = int(task.options.get("rate", 16000))
        cell = task.cell
        samples, _ = audio.read(cell.file, start=cell.start, seconds=cell.seconds, rate=rate)
        run = task.models / f"{cell.training_name}-{cell.epochs}"
        run.mkdir(parents=True, exist_ok=True)
        for name in task.names[: int(task.options.get("stops_after", len(task.names)))]:
            progress(0.5, f"make {name}")
            seed = seed_for(task.seed, name)
            dice = np.random.default_rng(seed)
            mixed = np.roll(samples, dice.integers(len(samples)))
            length = round(rate * task.seconds) if cell.mode == "UMG" else len(samples)
            self.made.append(name)
            yield Clip(name, mixed[:length] * task.options.get("level", 0.9), rate, seed, run.name)


BACKEND = TinyBackend()
