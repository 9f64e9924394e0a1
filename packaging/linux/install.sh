#!/bin/sh
# Installs SOFIA Desk for one user, without root; run by the self-extracting archive in the folder it unpacked.
#   ./SOFIA-Desk-*.run                          install below ~/.local
#   ./SOFIA-Desk-*.run -- --prefix FOLDER       install below another folder
#   ./SOFIA-Desk-*.run -- --uninstall           remove; results, sessions and settings stay
set -eu

prefix="${HOME}/.local"
action=install
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) prefix=$2; shift 2 ;;
        --uninstall) action=uninstall; shift ;;
        *) echo "Unknown option '$1'; there are --prefix FOLDER and --uninstall." >&2; exit 2 ;;
    esac
done

program="${prefix}/lib/sofia-desk"
applications="${prefix}/share/applications"
icons="${prefix}/share/icons/hicolor/scalable/apps"
mime="${prefix}/share/mime/packages"

refresh() {
    if command -v update-desktop-database >/dev/null 2>&1; then update-desktop-database "$applications" || true; fi
    if command -v update-mime-database >/dev/null 2>&1; then update-mime-database "${prefix}/share/mime" || true; fi
}

remove() {
    rm -rf "$program" "${prefix}/bin/sofia-desk" "${applications}/sofia-desk.desktop" "${icons}/sofia-desk.svg" \
        "${mime}/sofia-desk-mime.xml"
}

if [ "$action" = uninstall ]; then
    remove
    refresh
    echo "SOFIA Desk is removed from ${prefix}. Results, sessions and settings were left where they are."
    exit 0
fi

mkdir -p "${prefix}/lib" "${prefix}/bin" "$applications" "$icons" "$mime"
# the old version goes only when the new one is complete beside it
rm -rf "${program}.new" "${program}.old"
cp -a sofia-desk "${program}.new"
if [ -e "$program" ]; then mv "$program" "${program}.old"; fi
mv "${program}.new" "$program"
rm -rf "${program}.old"
ln -sf "${program}/sofia-desk" "${prefix}/bin/sofia-desk"
sed "s|^Exec=sofia-desk|Exec=\"${program}/sofia-desk\"|" sofia-desk.desktop > "${applications}/sofia-desk.desktop"
cp sofia-desk.svg "${icons}/"
cp sofia-desk-mime.xml "${mime}/"
refresh
echo "SOFIA Desk is installed: ${prefix}/bin/sofia-desk, and in the menu of programs."
case ":${PATH}:" in
    *":${prefix}/bin:"*) ;;
    *) echo "To type 'sofia-desk' alone, add ${prefix}/bin to PATH." ;;
esac
