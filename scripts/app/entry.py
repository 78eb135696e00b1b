"""What the bundle's executable runs: the app or, as a bundle has no other Python, a command.

mlxvid                          the app
mlxvid --worker                 the worker that the app talks to
mlxvid --run MODULE …           python -m MODULE …, for the modules below mlxvid
mlxvid --self-test FOLDER       makes a clip through the window and its worker, and says whether
                                that went well
"""

from __future__ import annotations

import importlib
import multiprocessing
import sys

COMMANDS = {
    "mlxvid.generate": "mlxvid.generate",
    "mlxvid.plan": "mlxvid.plan",
    "mlxvid.doctor": "mlxvid.doctor",
    "mlxvid.hub": "mlxvid.hub.__main__",
    "mlxvid.convert": "mlxvid.convert.__main__",
    "mlxvid.gui.core.export_process": "mlxvid.gui.core.export_process",
    "mlxvid.media.heic_process": "mlxvid.media.heic_process",
}


def main() -> int:
    """Run what the arguments name; returns the exit code."""
    # A library's helper process starts this executable too, and must not become a second app.
    multiprocessing.freeze_support()
    match sys.argv[1:]:
        case ["--run", name, *arguments] if name in COMMANDS:
            return importlib.import_module(COMMANDS[name]).main(arguments)
        case ["--run", *arguments]:
            name = " ".join(arguments[:1])
            commands = ", ".join(COMMANDS)
            print(f"There is no command {name!r}; there are: {commands}.", file=sys.stderr)
            return 2
        case ["--self-test", folder]:
            from mlxvid.gui.self_test import main as self_test

            return self_test(folder)
    from mlxvid.gui.__main__ import main as app

    return app()


if __name__ == "__main__":
    sys.exit(main())
