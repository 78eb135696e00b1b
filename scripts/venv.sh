# Sourced by scripts/demo and scripts/test, with $root set to the repository: makes a virtual
# environment once, then finds it ready.
# Plain POSIX sh, so that macOS's bash 3.2 and Debian's dash both run it.

# Sets $python to a Python that mlxvid can be installed for: $PYTHON if given, else the first that
# fits. Each one is run, since a name
# on PATH proves little: pyenv's shims stand there for versions that aren't active, and macOS's
# python3 may be 3.9.
find_python() {
    for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python3.10; do
        # ensurepip is what Debian's python3 lacks without python3-venv. MLX has no wheels for Intel
        # Macs.
        "$python" -c '
import platform, sys
import ensurepip, venv
fits = sys.version_info >= (3, 10) and (sys.platform != "darwin" or platform.machine() == "arm64")
sys.exit(0 if fits else 1)' >/dev/null 2>&1 && return
        [ -z "${PYTHON:-}" ] || break
    done
    echo "${PYTHON:+PYTHON=$PYTHON does not fit: }mlxvid needs Python 3.10 or newer with its venv" \
        "module (on a Mac, one for Apple silicon): install it from" \
        "https://www.python.org/downloads/" \
        "(on Debian or Ubuntu: apt install python3-venv), then run this again." >&2
    exit 1
}

# prepare_venv FOLDER [EXTRA]: sets $venv to FOLDER in the repository, with mlxvid and its EXTRA
# installed there (editable).
# FOLDER/ready is written last and says what was installed: on one line where and by which Python,
# on the other the checksum of
# pyproject.toml. So an interrupted installation is done again from nothing, and changed
# dependencies are added to what is there.
prepare_venv() {
    venv=$root/$1
    place="$root $("$venv/bin/python" -V 2>/dev/null || :)"
    wanted=$(cksum <"$root/pyproject.toml")
    ready_place='' ready_wanted=''
    if [ -f "$venv/ready" ]; then
        { read -r ready_place && read -r ready_wanted; } <"$venv/ready" || :
    fi
    if [ "$ready_place" = "$place" ] && [ "$ready_wanted" = "$wanted" ]; then
        return
    fi
    [ "$ready_place" = "$place" ] || find_python
    echo "Installing mlxvid and what it needs into $1 (once; this takes a few minutes) ..." >&2
    if [ "$ready_place" != "$place" ]; then
        rm -rf "$venv"
        mkdir "$venv"
        logged "$python" -m venv "$venv"
    fi
    rm -f "$venv/ready"
    # From inside the repository, so that pip reads the extra's brackets and never those of a
    # folder's name.
    (
        cd "$root"
        logged "$venv/bin/python" -m pip --disable-pip-version-check install \
            --editable ".${2:+[$2]}"
    )
    printf '%s\n%s\n' "$root $("$venv/bin/python" -V)" "$wanted" >"$venv/ready"
}

# Runs a command with its output kept in $venv/install.log; shows it and stops if the command fails.
logged() {
    if "$@" >"$venv/install.log" 2>&1 </dev/null; then
        return
    fi
    cat "$venv/install.log" >&2
    echo "mlxvid could not be installed for the reason above: put it right" \
        "(PYTHON=python3.12 chooses another Python), then run this again." >&2
    exit 1
}
