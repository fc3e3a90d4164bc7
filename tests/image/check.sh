#!/bin/bash
# Builds the container image on a bare Debian 12 base without a Docker engine, starts it with a real
# OpenLDAP server, sends a message, reads it over IMAP and POP3, and stops it. Needs root.
#
# IMAGE_CHECK_DIR  where the base system is kept between runs; everything else in it is removed.
# DEBIAN_MIRROR    where debootstrap gets the base system; apt's own source if not given.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=bookworm
work=${IMAGE_CHECK_DIR:-/var/tmp/gateway-image-check}
python=${PYTHON:-$PWD/.venv/bin/python}
image=localhost/mail-gateway:check
base=localhost/mail-gateway-base:$suite
storage=(--storage-driver vfs --root "$work/storage" --runroot "$work/run")

say() { printf 'image-check: %s\n' "$*"; }

if [ "$(id -u)" != 0 ]; then
    say "needs root: debootstrap and chroot do"
    exit 1
fi

missing=()
for program in debootstrap podman buildah slapd unshare; do
    command -v "$program" > /dev/null || missing+=("${program/unshare/util-linux}")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive \
        apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" > /dev/null
fi

clean() {
    rm -rf "$work/storage" "$work/run" "$work/pip" "$work/base" "$work/base.tar.new"
}
mkdir -p "$work"
clean
trap clean EXIT

# -- the base: what "Debian 12 with python3 and python3-venv" means

if [ ! -s "$work/base.tar" ]; then
    mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(CODENAME) $(SITE)' \
        | awk -v suite=$suite '$1 == suite { print $2; exit }')}
    say "debootstrap of Debian $suite"
    # Without a mirror in this machine's own list, debootstrap knows one.
    debootstrap --variant=minbase --include=python3,python3-venv \
        "$suite" "$work/base" ${mirror:+"$mirror"} > "$work/debootstrap.log" \
        || { tail -20 "$work/debootstrap.log"; exit 1; }
    tar -C "$work/base" -cf "$work/base.tar.new" .
    mv "$work/base.tar.new" "$work/base.tar"
    rm -rf "$work/base"
fi
say "importing the base image"
podman "${storage[@]}" import --quiet "$work/base.tar" "$base" > /dev/null

# -- what this machine's pip needs (indexes, folders, certificates), given to the build's pip alone

mkdir -p "$work/pip"
"$python" - "$work/pip" > "$work/pip/volumes" <<'PYTHON'
"""pip's effective configuration as one file, and the local folders and files it names."""
import ast
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

listing = subprocess.run(
    [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
)
values = {}
for line in listing.stdout.splitlines():
    key, _, shown = line.partition("=")
    section, _, name = key.rpartition(".")
    # The environment comes last in what pip does, whatever the order of the list.
    if section == ":env:" or (section in ("global", "install") and name not in values):
        values[name] = ast.literal_eval(shown)
volumes = set()
for value in values.values():
    for word in value.split():
        local = Path(urlsplit(word).path if word.startswith("file:") else word)
        if local.is_absolute() and local.exists():
            # An index's pages point at files beside it.
            above = local.parent if word.startswith("file:") and local.parent != Path("/") else local
            volumes.add(above)
with (Path(sys.argv[1]) / "pip.conf").open("w") as conf:
    conf.write("[global]\n")
    for name, value in values.items():
        words = value.split() if name in ("find-links", "extra-index-url") else [value]
        conf.write(f"{name} = " + "\n    ".join(words) + "\n")
print(f"--volume={sys.argv[1]}/pip.conf:/etc/pip.conf:ro")
for path in sorted(volumes):
    print(f"--volume={path}:{path}:ro")
PYTHON
mapfile -t volumes < "$work/pip/volumes"

say "building the image"
build=(buildah "${storage[@]}" bud --isolation chroot --format docker --pull-never)
"${build[@]}" --build-arg "BASE=$base" "${volumes[@]}" --tag "$image" . > "$work/build.log" 2>&1 \
    || { tail -40 "$work/build.log"; exit 1; }
container=$(buildah "${storage[@]}" from --pull-never "$image")
root=$(buildah "${storage[@]}" mount "$container")

# -- a network of its own, so that the standard ports are free and nothing reaches the outside

say "starting it"
export CONTAINER_RUN="buildah ${storage[*]} run --isolation chroot" CONTAINER="$container" ROOT="$root"
unshare --net -- /bin/sh -c '
    ip link set lo up
    echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
    exec "$0" -m tests.image.conversation
' "$python"
say "passed"
