# A fresh Debian machine with real systemd in a container, for the package test. Sourced, never run.
# It has its own network with a loopback and nothing else, so it can reach nobody and nobody can reach it.
#
#   machine_base SUITE       makes the clean root of a Debian release, once per machine and month
#   machine_up SUITE         starts a fresh copy; $machine_root is its file system
#   inside COMMAND...        runs a command in it
#   machine_down             powers it off and removes every trace; also after a failure (trap)

MACHINE_PACKAGES=systemd,systemd-sysv,dbus,adduser,init-system-helpers,bash-completion,curl,libgcc-s1
machine_name=steward-test-$$
MACHINE_NET=(--private-network)
# A command that changes a new root, which is "$1"; the root is kept, so it counts for its name.
MACHINE_HOOK=
machine_dir='' machine_root='' machine_pid='' machine_leader=''

# The mirror that this machine's own apt uses; empty lets mmdebstrap decide.
machine_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 2>/dev/null |
        grep -E '/debian/?$' | head -1
}

machine_base() {
    local suite=$1
    local kind=$suite-$(printf '%s' "$MACHINE_PACKAGES$MACHINE_HOOK" | sha256sum | cut -c1-8)
    machine_base_root=$TOOLS/roots/$kind-$(date +%Y%m)
    [ -d "$machine_base_root" ] && return
    say "making a Debian $suite root (once, about a minute)"
    mkdir -p "$TOOLS/roots"
    rm -rf "$TOOLS/roots/$kind-"*
    mmdebstrap --quiet --variant=apt --include="$MACHINE_PACKAGES" \
        ${MACHINE_HOOK:+--customize-hook="$MACHINE_HOOK"} "$suite" "$machine_base_root.new" $(machine_mirror)
    mv "$machine_base_root.new" "$machine_base_root"
}

# What whoever sources this wants to change in a new machine before it starts.
machine_prepare() { :; }

machine_cgroups() { ls -d /sys/fs/cgroup/systemd /sys/fs/cgroup/unified 2>/dev/null || true; }

machine_up() {
    machine_base "$1"
    machine_dir=$(mktemp -d)
    machine_root=$machine_dir/root
    mkdir "$machine_dir"/{up,work,root}
    mount -t overlay overlay \
        -o "lowerdir=$machine_base_root,upperdir=$machine_dir/up,workdir=$machine_dir/work" "$machine_root"
    echo "$machine_name" >"$machine_root/etc/hostname"
    printf '127.0.0.1 localhost %s\n' "$machine_name" >"$machine_root/etc/hosts"
    : >"$machine_root/etc/machine-id"
    machine_prepare
    (
        # Without a control group of its own it would make its groups in ours.
        for h in $(machine_cgroups); do
            mkdir -p "$h/$machine_name" && echo "$BASHPID" >"$h/$machine_name/cgroup.procs"
        done
        exec systemd-nspawn -q --register=no --keep-unit --machine="$machine_name" -D "$machine_root" --boot \
            --resolv-conf=off "${MACHINE_NET[@]}" </dev/null >"$machine_dir/console.log" 2>&1
    ) &
    machine_pid=$!
    local i
    for i in $(seq 300); do
        machine_leader=$(pgrep -P "$machine_pid" -x systemd | head -1 || true)
        [ -n "$machine_leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' && return
        kill -0 "$machine_pid" 2>/dev/null || break
        sleep 0.2
    done
    cat "$machine_dir/console.log" >&2
    die "the Debian $1 machine did not start"
}

inside() {
    nsenter --all --target "$machine_leader" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

machine_down() {
    local i h
    if [ -n "$machine_pid" ]; then
        kill -TERM "$machine_pid" 2>/dev/null || true # an orderly poweroff
        for i in $(seq 150); do kill -0 "$machine_pid" 2>/dev/null && sleep 0.1 || break; done
        [ -n "$machine_leader" ] && kill -KILL "$machine_leader" 2>/dev/null || true
        kill -KILL "$machine_pid" 2>/dev/null || true
        wait "$machine_pid" 2>/dev/null || true
        machine_pid='' machine_leader=''
    fi
    if [ -n "$machine_dir" ]; then
        for i in $(seq 50); do
            mountpoint -q "$machine_root" || break
            umount "$machine_root" 2>/dev/null || sleep 0.1
        done
        # Never remove through a mount.
        mountpoint -q "$machine_root" && die "still mounted: $machine_root"
        rm -rf "$machine_dir"
        machine_dir=''
    fi
    for h in $(machine_cgroups); do
        [ -d "$h/$machine_name" ] && find "$h/$machine_name" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
}
