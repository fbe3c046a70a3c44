"""What of a grid is done, running, failed and left."""

from __future__ import annotations

from dataclasses import dataclass

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import map_errors, map_tasks


@dataclass(frozen=True)
class Status:
    """Names of cells.

    Attributes:
        done, running, failed, left: Every cell of the grid is in one of them.
        errors: Why each failed, by name.
        seconds: What the finished cells took, together.
        maps_left: Tasks of maps that are not done; None before the images are written.
        map_errors: Errors by estimator whose maps could not be made.
    """

    done: list[str]
    running: list[str]
    failed: list[str]
    left: list[str]
    errors: dict[str, str]
    seconds: float
    maps_left: int | None
    map_errors: dict[str, str]

    def text(self) -> str:
        """The state in a few lines; failures with their errors."""
        total = len(self.done) + len(self.running) + len(self.failed) + len(self.left)
        maps = "images are not written yet" if self.maps_left is None else f"{self.maps_left} tasks of maps left"
        lines = [f"{total} trainings: {len(self.done)} done, {len(self.running)} running, {len(self.failed)} failed, "
                 f"{len(self.left)} left; {maps}."]  # fmt: skip
        if self.done:
            each = self.seconds / len(self.done)
            remaining = (len(self.running) + len(self.failed) + len(self.left)) * each
            lines.append(
                f"Done in {self.seconds / 3600:.2f} hours of processes, {each:.1f} s each; about "
                f"{remaining / 3600:.2f} hours of processes remain."
            )
        if self.running:
            lines.append("Running: " + ", ".join(self.running))
        lines += [f"Failed: {name}: {self.errors[name].splitlines()[-1]}" for name in self.failed]
        lines += [f"No maps of {label}: {error}" for label, error in self.map_errors.items()]
        return "\n".join(lines)


def status(run_dir: RunDir) -> Status:
    """Look at a run directory; nothing is changed."""
    grid = run_dir.grid()
    done, running, failed, left, errors, seconds = [], [], [], [], {}, 0.0
    for cell in grid.cells():
        record = run_dir.record(cell)
        if record is not None and record["status"] == "done":
            done.append(cell.name)
            seconds += record["seconds"]
        elif run_dir.is_locked(cell.name):
            running.append(cell.name)
        elif record is not None:
            failed.append(cell.name)
            errors[cell.name] = record["error"]
        else:
            left.append(cell.name)
    written = not run_dir.missing_images()
    maps_left = len(map_tasks(run_dir, grid)) if written else None
    return Status(done, running, failed, left, errors, seconds, maps_left, map_errors(run_dir, grid) if written else {})
