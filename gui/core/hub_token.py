"""The user's token of the hub, kept where huggingface_hub and its other programs keep it.

Nothing here tells the token itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlxvid.errors import ModelNotFoundError

TOKENS_PAGE = "https://huggingface.co/settings/tokens"


def is_set() -> bool:
    """Whether there is a token. Reads the disk."""
    from huggingface_hub import get_token

    return bool(get_token())


def is_given() -> bool:
    """Whether the token is given by whoever started the app, so that it can't be changed here."""
    return bool(os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"))


def take(token: str) -> str:
    """Ask the hub whether a token is good, and keep it; returns whose it is.

    Raises :class:`ModelNotFoundError` where it isn't, or the hub can't be asked.
    """
    from huggingface_hub import login, whoami

    with _errors():
        login(token, add_to_git_credential=False)
        return str(whoami(token)["name"])


def owner() -> str:
    """Whose the token is that is kept, as the hub says; raises as :func:`take` does."""
    from huggingface_hub import whoami

    with _errors():
        return str(whoami()["name"])


def forget() -> None:
    """Forget the token, here and for other programs; raises as :func:`take` does."""
    from huggingface_hub import logout

    with _errors():
        logout()


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what can go wrong into one sentence."""
    from huggingface_hub import errors

    try:
        yield
        return
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        sentence = f"The hub answered {status}: try again later."
        if status in (401, 403):
            sentence = "The hub does not know this token: copy it again from its page."
    except ValueError:
        sentence = "This is no token of a person's: make one of your own on its page."
    except errors.HTTPError:
        sentence = "The hub is out of reach: check the network."
    except OSError as error:
        sentence = f"The token can't be kept ({error.strerror or error}): check the disk."
    raise ModelNotFoundError(sentence)
