"""Where tasks run. Every executor has `run(run_dir, tasks) -> (task, outcome), …` and `close()`."""
