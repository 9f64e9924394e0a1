#!/bin/sh
# Makes a disk image from "SOFIA Desk.app": make_disk_image.sh APP TARGET.dmg
# Signs where SOFIA_DESK_SIGN names an identity of the keychain; notarises where SOFIA_DESK_NOTARY names a profile that
# 'xcrun notarytool store-credentials' stored. Without them the image is for one's own machine.
set -eu

app=$1
target=$2
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

if [ -n "${SOFIA_DESK_SIGN:-}" ]; then
    # the hardened runtime, which notarisation asks for, forbids compiling in memory unless it is asked for
    codesign --force --deep --options runtime --timestamp --entitlements "$(dirname "$0")/entitlements.plist" \
        --sign "$SOFIA_DESK_SIGN" "$app"
    codesign --verify --deep --strict "$app"
fi
cp -R "$app" "$stage/"
ln -s /Applications "$stage/Applications"
rm -f "$target"
hdiutil create -volname "SOFIA Desk" -srcfolder "$stage" -format UDZO -ov "$target"
if [ -n "${SOFIA_DESK_SIGN:-}" ] && [ -n "${SOFIA_DESK_NOTARY:-}" ]; then
    xcrun notarytool submit "$target" --keychain-profile "$SOFIA_DESK_NOTARY" --wait
    xcrun stapler staple "$target"
fi
