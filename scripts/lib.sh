# What the scripts share. Sourced, never run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
# Cargo's own variable decides where things are built; everything else that is made goes beside it.
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
# Slow things that a clean clone on the same machine may use again: cargo-deny, Debian roots.
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/steward-tools
PATH=$TOOLS/bin:$PATH
export PATH

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# have COMMAND...: all of them are there.
have() {
    local c
    for c in "$@"; do command -v "$c" >/dev/null 2>&1 || return 1; done
}

# need COMMAND HINT: stops with a sentence when a tool is missing.
need() { have "$1" || die "$1 is missing: $2"; }

need_to_build() {
    need cargo "install Rust 1.95 or newer (rustup)"
    need cc "install a C compiler: apt-get install gcc libc6-dev"
    need node "install Node.js 20 or newer; it bundles the pages' JavaScript"
    need npm "install npm; it brings the browser libraries"
}
