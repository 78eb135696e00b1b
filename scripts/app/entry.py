"""What the bundle's executable runs: the app; or, since a bundle has no other Python, one of
mlxvid's commands.

mlxvid                          the app mlxvid --worker                 the worker that the app
talks to mlxvid --run MODULE …           python -m MODULE …, for the modules below mlxvid
--self-test FOLDER       makes a clip through the window and its worker, without a person, and tells
whether that went well
"""

from __future__ import annotations

import importlib
import multiprocessing
import sys

COMMANDS = {
    "mlxvid.generate": "mlxvid.generate",
    "mlxvid.plan": "mlxvid.plan",
    "mlxvid.hub": "mlxvid.hub.__main__",
    "mlxvid.convert": "mlxvid.convert.__main__",
}


def main() -> int:
    multiprocessing.freeze_support()  # a helper process of a library starts this executable too, and must not become a second app
    match sys.argv[1:]:
        case ["--run", name, *arguments] if name in COMMANDS:
            return importlib.import_module(COMMANDS[name]).main(arguments)
        case ["--run", *arguments]:
            print(
                f"There is no command {' '.join(arguments[:1])!r}; there are: {', '.join(COMMANDS)}.",
                file=sys.stderr,
            )
            return 2
        case ["--self-test", folder]:
            from mlxvid.gui.self_test import main as self_test

            return self_test(folder)
    from mlxvid.gui.__main__ import main as app

    return app()


if __name__ == "__main__":
    sys.exit(main())
