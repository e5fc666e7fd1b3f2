# A network of its own with a real Debian machine in it, for the software test. Sourced, never run; builds on
# the package test's machine.sh.
#
#   lab_up             makes the network; `in_lab COMMAND...` runs a command in it, at 198.51.100.1
#   machine_up SUITE   then starts the machine at 198.51.100.7
#   lab_down           removes all of it; also after a failure (trap)
#
# The machine reaches nothing but what listens in the lab. Debian's packages come through a forward proxy
# that lets only the package mirror through.

. "$ROOT/tests/package/machine.sh"
MACHINE_PACKAGES=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,iproute2,curl,ca-certificates,procps
LAB=steward-lab-$$
LAB_HOST=198.51.100.1
MACHINE_ADDRESS=198.51.100.7
MACHINE_NET=(--network-namespace-path="/run/netns/$LAB-m" --capability=CAP_NET_ADMIN)
lab_pids=() lab_dir=''

in_lab() { ip netns exec "$LAB" "$@"; }

lab_up() {
    lab_dir=$(mktemp -d)
    ip netns add "$LAB" && ip netns add "$LAB-m"
    ip -n "$LAB" link set lo up
    ip -n "$LAB" link add host0 type veth peer name host0 netns "$LAB-m"
    ip -n "$LAB" addr add $LAB_HOST/24 dev host0 && ip -n "$LAB" link set host0 up
    ip -n "$LAB-m" link set lo up
    ip -n "$LAB-m" addr add $MACHINE_ADDRESS/24 dev host0 && ip -n "$LAB-m" link set host0 up
    ip -n "$LAB-m" route add default via $LAB_HOST
    # Namespaces share the file system, so a socket in it leads from one to the other.
    local mirrors
    mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sed -E 's|^[a-z]+://([^/:]+).*|\1|' | sort -u | paste -sd,)
    [ -n "$mirrors" ] || die "apt names no mirror here, so nothing could be installed in the test's machine"
    node "$ROOT/tests/software/proxy.mjs" out "$lab_dir/proxy.sock" "$mirrors" >"$lab_dir/proxy.log" 2>&1 &
    lab_pids+=($!)
    # Not by in_lab: a function in the background is a shell of its own, which alone would hear the kill.
    ip netns exec "$LAB" node "$ROOT/tests/software/proxy.mjs" in "$lab_dir/proxy.sock" $LAB_HOST 3128 >>"$lab_dir/proxy.log" 2>&1 &
    lab_pids+=($!)
}

# What cloud-init and an administrator would have done: a user who may use sudo, the package source.
machine_prepare() {
    rm -f "$machine_root"/etc/ssh/ssh_host_*
    ssh-keygen -q -A -f "$machine_root"
    mkdir -p "$machine_root/etc/sudoers.d"
    echo 'mira ALL=(ALL) NOPASSWD:ALL' >"$machine_root/etc/sudoers.d/mira"
    chroot "$machine_root" useradd --create-home --shell /bin/bash mira
    # Nobody answers there, at once: with an address that swallows packets each look-up would take half a minute.
    echo 'nameserver 127.0.0.1' >"$machine_root/etc/resolv.conf"
    echo "Acquire::http::Proxy \"http://$LAB_HOST:3128\";" >"$machine_root/etc/apt/apt.conf.d/00proxy"
}

lab_down() {
    local p
    machine_down
    for p in "${lab_pids[@]}"; do kill "$p" 2>/dev/null || true; done
    lab_pids=()
    ip netns del "$LAB" 2>/dev/null || true
    ip netns del "$LAB-m" 2>/dev/null || true
    [ -z "$lab_dir" ] || rm -rf "$lab_dir"
}
