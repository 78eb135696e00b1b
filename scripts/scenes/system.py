"""Settings, Help, and what is said after a crash."""

from __future__ import annotations

from .studio import Look, Studio, rest, scene


@scene(empty=True)
def settings(studio: Studio) -> None:
    """Each page of the Settings."""
    studio.window.menus.settings_chosen.emit()
    dialog = studio.window.tools._settings
    for page in range(dialog.pages.count()):
        dialog.pages.setCurrentIndex(page)
        studio.shoot(f"settings-{dialog.pages.tabText(page).lower()}", dialog)
    dialog.close()


@scene(empty=True)
def help_windows(studio: Studio) -> None:
    """The sheet of shortcuts, the guide to prompts, the log."""
    window = studio.window
    window.help.show_shortcuts()
    rest()
    studio.shoot("shortcuts", window.help.shortcuts)
    window.help.shortcuts.close()
    window.help.show_prompts()
    studio.shoot("prompting", window.help.prompting)
    window.help.prompting.close()
    window.tools.show_log()
    studio.shoot("log", window.tools._log)
    window.tools._log.close()


@scene()
def after_a_crash(studio: Studio) -> None:
    """The log is offered."""
    studio.window.announcements.report_crash()
    studio.shoot("after-a-crash")


@scene()
def narrow(studio: Studio) -> None:
    """A window without room for the side panel."""
    narrow = Look({"940x640": (940, 640)}, studio.look.appearances, studio.look.text)
    wide = studio.look
    studio.look = narrow
    studio.shoot("narrow")
    studio.look = wide
