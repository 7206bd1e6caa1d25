# Sourced by ./test, ./test-neutron and ./demo, from the root of the checkout: makes sure of the virtual environment.
#
#   VENV              where it is (default: .venv)
#   PYTHON            the interpreter to make it with (default: the first one of 3.11 or later)
#   VENV_CONSTRAINTS  a file of versions that pip keeps to (default: none)

VENV="${VENV:-$PWD/.venv}"

# Tests start hundreds of processes: each would compile all modules anew, which takes longer than its work.
unset PYTHONDONTWRITEBYTECODE

_say() { printf '%s\n' "$*" >&2; }

_new_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

_find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        _new_enough "$PYTHON" && { printf '%s\n' "$PYTHON"; return; }
        _say "PYTHON=$PYTHON is not Python 3.11 or later."
        return 1
    fi
    for candidate in python3 python3.13 python3.12 python3.11; do
        _new_enough "$candidate" && { printf '%s\n' "$candidate"; return; }
    done
    _say "Python 3.11 or later is needed (on Debian and Ubuntu: apt-get install python3 python3-venv)."
    _say "If it is not on the PATH, name it: PYTHON=/path/to/python3 $0"
    return 1
}

_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# venv_create: make the environment unless there is one that works.
venv_create() {
    local python version
    # An installation that was interrupted leaves packages without metadata, at which every later pip fails.
    if [ ! -e "$VENV/unfinished" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        if [ -n "${PYTHON:-}" ] && [ "$(_version "$PYTHON")" != "$(_version "$VENV/bin/python")" ]; then
            _say "$VENV was made with Python $(_version "$VENV/bin/python"), not with $PYTHON."
            _say "Remove it, or name another folder: VENV=/some/folder PYTHON=$PYTHON $0"
            return 1
        fi
        return
    fi
    python="$(_find_python)" || return 1
    version="$(_version "$python")"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        _say "This Python $version cannot make virtual environments: a package is missing."
        _say "On Debian and Ubuntu: apt-get install python3-venv (or python$version-venv)."
        return 1
    fi
    _say "Making $VENV with Python $version"
    "$python" -m venv --clear "$VENV"
    # The pip that comes with Python may be years old, and spends several times as long on choosing versions.
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --upgrade pip ||
        _say "pip stays as old as Python brings it."
}

# venv_install [EXTRA...]: install the project with these extras, unless that was done for this
# pyproject.toml and these constraints before. The stamps inside the environment remember it: one for each extra,
# and one for the project without any.
venv_install() {
    local extra wanted stale="" constraints=() IFS=,
    [ -z "${VENV_CONSTRAINTS:-}" ] || constraints=(--constraint "$VENV_CONSTRAINTS")
    wanted="$(cat pyproject.toml ${VENV_CONSTRAINTS:+"$VENV_CONSTRAINTS"} | cksum) $PWD"
    for extra in core "$@"; do
        [ "$(cat "$VENV/stamp-$extra" 2>/dev/null)" = "$wanted" ] || stale=yes
    done
    [ -n "$stale" ] || return 0
    _say "Installing borough${1:+[$*]} into $VENV"
    : >"$VENV/unfinished"
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-compile \
        ${constraints[@]+"${constraints[@]}"} -e ".${1:+[$*]}" || return 1
    rm "$VENV/unfinished"
    for extra in core "$@"; do
        printf '%s\n' "$wanted" >"$VENV/stamp-$extra"
    done
}

venv_create
venv_install ${VENV_EXTRAS[@]+"${VENV_EXTRAS[@]}"}
