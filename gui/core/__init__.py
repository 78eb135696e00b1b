"""What the app knows and does without a widget: the library, jobs, the worker, reading clips."""
