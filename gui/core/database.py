"""The library, one SQLite file: the queue, the clips, how long runs took, and the prompts."""

from __future__ import annotations

import time

from .clips_table import ClipsTable
from .history_table import HistoryTable
from .jobs_table import JobsTable

# The prompts that are kept, and the timings of each model.
PROMPTS_KEPT = 500
TIMINGS_KEPT = 200


class Database(ClipsTable, JobsTable, HistoryTable):
    """All tables of the library."""

    # --- timings ----------------------------------------------------------------------------------

    def add_timing(self, model: str, tokens: int, passes: float, seconds: float) -> None:
        """Add the time of a run: `passes` evaluations of the network over `tokens` tokens."""
        with self.change() as change:
            change.run(
                "INSERT INTO timings (model, tokens, passes, seconds) VALUES (?,?,?,?)",
                model,
                tokens,
                passes,
                seconds,
            )
            change.run(
                "DELETE FROM timings WHERE model = ?1 AND id NOT IN "
                "(SELECT id FROM timings WHERE model = ?1 ORDER BY id DESC LIMIT ?2)",
                model,
                TIMINGS_KEPT,
            )

    def timings(self, model: str) -> list[tuple[int, float, float]]:
        """(tokens, passes, seconds) of a model's earlier runs, the latest first."""
        rows = self.read(
            "SELECT tokens, passes, seconds FROM timings WHERE model = ? ORDER BY id DESC", model
        )
        return [(row["tokens"], row["passes"], row["seconds"]) for row in rows]

    # --- prompts ----------------------------------------------------------------------------------

    def add_prompt(self, text: str, negative: bool = False) -> None:
        """Add a prompt as the one last used."""
        if not text.strip():
            return
        with self.change() as change:
            change.run(
                "INSERT OR REPLACE INTO prompts (text, negative, used) VALUES (?,?,?)",
                text,
                int(negative),
                time.time(),
            )
            change.run(
                "DELETE FROM prompts WHERE negative = ?1 AND text NOT IN "
                "(SELECT text FROM prompts WHERE negative = ?1 ORDER BY used DESC LIMIT ?2)",
                int(negative),
                PROMPTS_KEPT,
            )

    def forget_prompt(self, text: str) -> None:
        """Take a prompt out of those used before."""
        with self.change() as change:
            change.run("DELETE FROM prompts WHERE negative = 0 AND text = ?", text)

    def prompts(self, negative: bool = False) -> list[str]:
        """The prompts used, the latest first."""
        sql = "SELECT text FROM prompts WHERE negative = ? ORDER BY used DESC"
        return [row["text"] for row in self.read(sql, int(negative))]

    def every_prompt(self) -> list[str]:
        """All prompts that the library has, negative ones too, for reports to leave them out."""
        inside = [("jobs", "prompt"), ("jobs", "negative_prompt"), ("clips", "negative_prompt")]
        sources = [
            f"SELECT json_extract(settings, '$.{name}') AS text FROM {table} "
            "WHERE json_valid(settings)"
            for table, name in inside
        ]
        columns = ["SELECT prompt FROM clips", "SELECT text FROM prompts"]
        sql = " UNION ALL ".join([*sources, *columns])
        return [str(row["text"]) for row in self.read(sql) if row["text"]]
