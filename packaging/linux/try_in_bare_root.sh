#!/bin/sh
# Tries the Debian package on a bare system, as root:
#   debootstrap --variant=minbase bookworm ROOT
#   packaging/linux/try_in_bare_root.sh ROOT NEW.deb [OLD.deb] -- COMMAND OF THE SMOKE TEST
# The old package is installed first and used (or the new one under an older version, where none is given), then the new
# one over it; sessions, settings and results stay. The smoke test runs with the program inside ROOT as an ordinary
# user; then the package is purged, and what is the user's stays. ROOT has no Python and only what the package asks for.
set -eu

root=$1
new=$2
shift 2
old=$new
if [ "$1" != -- ]; then old=$1; shift; fi
shift
user=1000
PATH=$PATH:/usr/sbin:/sbin
chroot=$(command -v chroot)
home=$(mktemp -d)
display=/tmp/.X11-unix
enter="env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive $chroot"

leave() {
    for place in "$root$home" "$root$display" "$root/dev" "$root/proc"; do umount "$place" 2>/dev/null || true; done
    rm -rf "$home"
}
trap leave EXIT

mkdir -p "$root$home" "$root$display" "$display"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind "$home" "$root$home"
mount --bind "$display" "$root$display"
chmod 755 "$home"
mkdir "$home/astro" "$home/smoke"

install() { # FILE: with the packages it depends on, and no others
    cp "$1" "$root/root/package.deb"
    $enter "$root" apt-get install -y -q --no-install-recommends --reinstall /root/package.deb | tail -n 3
    rm "$root/root/package.deb"
}

as_user() { # COMMAND: as an ordinary user without network
    unshare -n env -i HOME="$home/astro" PATH=/usr/bin:/bin LANG=C.UTF-8 "$chroot" --userspec="$user:$user" "$root" \
        sh -c "cd '$home/astro' && $1"
}

check_kept() { # WHEN
    test -s "$home/astro/.config/sofia-desk/preferences.json"
    test -n "$(ls "$home/astro/.local/share/sofia-desk/sessions")"
    test -n "$(ls "$home"/astro/out/*_CAL_*.fits)"
    echo "$1: sessions, settings and results are there"
}

$enter "$root" apt-get update -q | tail -n 1
before=$(mktemp -d "$home/old.XXXXXX")
dpkg-deb --raw-extract "$old" "$before"
sed -i 's/^Version: .*/Version: 0.0.1/' "$before/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$before" "$home/old.deb" >/dev/null
rm -rf "$before"
install "$home/old.deb"
rm "$home/old.deb"
chown "$user:$user" "$home/astro" "$home/smoke"
as_user "sofia-desk simulate forcast-imaging-nmc raw && sofia-desk reduce raw/*.fits -o out --keep-session >log 2>&1"
mkdir -p "$home/astro/.config/sofia-desk"
echo '{"theme": "dark"}' > "$home/astro/.config/sofia-desk/preferences.json"
chown -R "$user:$user" "$home/astro/.config"
echo "old: $(as_user 'dpkg-query --show sofia-desk')"

install "$new"
echo "new: $(as_user 'dpkg-query --show sofia-desk')"
check_kept "after the upgrade"
as_user "sofia-desk sessions" | grep -q forcast-imaging
if $enter "$root" sh -c 'command -v python3'; then echo "There is a Python in $root." >&2; exit 1; fi

SOFIA_DESK_PROGRAM="$chroot --userspec=$user:$user $root /usr/bin/sofia-desk" SOFIA_DESK_HOME="$home/smoke" "$@"

$enter "$root" apt-get purge -y -q sofia-desk | tail -n 1
check_kept "after the removal"
if [ -e "$root/usr/lib/sofia-desk" ]; then echo "The program was not removed." >&2; exit 1; fi
