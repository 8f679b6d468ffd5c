#!/bin/sh
# Installs the project into .venv, exactly as uv.lock says. Called by the Makefile.
#
#   scripts/install.sh runtime   what the program needs
#   scripts/install.sh dev       also what tests and lint need
#
# Needs python3 of 3.11 to 3.14 with its venv module, and the package index. Does nothing when the
# lock and pyproject are those of the last install.
set -eu
cd "$(dirname "$0")/.."
unset VIRTUAL_ENV PYTHONHOME

kind=${1:-dev}
uv_version=0.13.9
python=${PYTHON:-python3}
stamp=.venv/.adsync-installed

fail() {
    echo "adsync: $1" >&2
    exit 1
}

installed() { [ -f "$stamp.$1" ] && [ "$(cat "$stamp.$1")" = "$wanted" ]; }

check_python() {
    command -v "$python" >/dev/null 2>&1 ||
        fail "$python was not found; install Python 3.11 to 3.14, or run make PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' ||
        fail "$("$python" --version 2>&1) is not supported, Python 3.11 to 3.14 is; run make PYTHON=/path/to/python3"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python has no venv module; install it (on Debian and Ubuntu: apt install python3-venv)"
}

# A venv holds absolute paths: after the checkout moved, or its Python went, it is made again.
venv_works() {
    .venv/bin/python -c '' >/dev/null 2>&1 || return 1
    [ ! -f "$stamp.path" ] || [ "$(cat "$stamp.path")" = "$PWD" ]
}

make_venv() {
    check_python
    rm -rf .venv
    echo "adsync: making .venv with $("$python" --version 2>&1)"
    "$python" -m venv .venv || fail "could not make .venv; see the lines above"
}

install_uv() {
    found=$(.venv/bin/python -c 'import importlib.metadata as m; print(m.version("uv"))' 2>/dev/null) || found=none
    [ "$found" != "$uv_version" ] || return 0
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir "uv==$uv_version" ||
        fail "could not install uv $uv_version from the package index; is there a network?"
}

# uv keeps its cache in the home directory; where that cannot be written, inside the venv.
choose_cache() {
    [ -z "${UV_CACHE_DIR:-}" ] || return 0
    cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv
    if ! { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null; then
        export UV_CACHE_DIR="$PWD/.venv/.uv-cache"
    fi
}

# Companies put their own certificate authority into the system's store; uv looks there only
# when told to, and not every system has a store.
choose_certificates() {
    if .venv/bin/python -c 'import ssl, sys; sys.exit(not ssl.create_default_context().get_ca_certs())'; then
        export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
    fi
}

# The lock names the public index. Where only a mirror is reachable, pip's own configuration
# knows it, and the hashes of the lock still decide what is accepted.
install_with_pip() {
    echo "adsync: trying once more with pip and its configured index"
    .venv/bin/uv export --frozen --quiet --no-emit-project "$@" -o .venv/requirements.txt &&
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r .venv/requirements.txt &&
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
}

# Dagster is a second of importing when it is compiled and three when it is not. Python does that at
# the first import, but not where PYTHONDONTWRITEBYTECODE is set or somebody else installed. The
# platforms' own clients, which only some tests import, are large and left out.
compile_bytecode() {
    .venv/bin/python -m compileall -q -j 0 -x 'site-packages/(facebook_business|google/ads|business_api_client)' \
        "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" >/dev/null 2>&1 || true
}

wanted=$({ echo "$uv_version"; cat pyproject.toml uv.lock; } | cksum)
venv_works || make_venv
if installed dev || { [ "$kind" = runtime ] && installed runtime; }; then
    exit 0
fi
echo "adsync: installing what uv.lock names (the first time takes a minute or two)"
install_uv
choose_cache
choose_certificates
export UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON=.venv/bin/python UV_PYTHON_DOWNLOADS=never
set --
[ "$kind" = dev ] || set -- --no-dev
.venv/bin/uv sync --locked --inexact --quiet "$@" || install_with_pip "$@" ||
    fail "the install did not finish; see the lines above, then run make again"
compile_bytecode
printf '%s\n' "$PWD" >"$stamp.path"
printf '%s\n' "$wanted" >"$stamp.$kind"
