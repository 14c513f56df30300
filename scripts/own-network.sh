#!/usr/bin/env bash
# Runs a command in a network of its own, with loopback and nothing else. Whatever the command starts ends with it.
#
#   scripts/own-network.sh COMMAND...
#
# That takes user namespaces, or root. Where the system allows neither, the command runs in the network that is there,
# if nothing uses the ports in OWN_NETWORK_PORTS.
set -euo pipefail
source "$(dirname -- "$0")/lib.sh"

namespaces=(--net --pid --fork --kill-child)

main() {
  local unshare
  for unshare in "unshare --user --map-root-user" unshare; do
    # shellcheck disable=SC2086 # words
    if $unshare "${namespaces[@]}" true 2>/dev/null; then
      exec $unshare "${namespaces[@]}" -- "$0" --inside "$@"
    fi
  done
  say "There is no network of its own for ${1##*/}: this system forbids user namespaces (sysctl user.max_user_namespaces,"
  say "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns). It runs in the one that is there."
  # shellcheck disable=SC2086 # words
  taken=$(taken_ports ${OWN_NETWORK_PORTS-})
  [[ -z $taken ]] || die "it needs ports that others use here: $taken"
  exec "$@"
}

# Loopback is there, but down. `ip` may be missing: https://man7.org/linux/man-pages/man7/netdevice.7.html
inside() {
  python3 -c '
import fcntl, socket, struct

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
with socket.socket() as control:
    request = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
    name, flags = struct.unpack("16sH22x", request)
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | IFF_UP))'
  exec "$@"
}

# taken_ports <port>...: those that cannot be bound on all interfaces.
taken_ports() {
  python3 -c '
import socket, sys

for port in sys.argv[1:]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", int(port)))
        except OSError:
            print(port, end=" ")' "$@"
}

if [[ ${1-} == --inside ]]; then
  inside "${@:2}"
else
  main "$@"
fi
