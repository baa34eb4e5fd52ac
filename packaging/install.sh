#!/bin/sh
# Installs Causeway from a release archive, brings it up to date, and removes it again. docs/install.md
# says what goes where. It runs from an unpacked archive, or from a pipe:
#
#   curl --proto '=https' -fsSL RELEASES/install.sh | sh -s -- --version 1.2.3
#
# Nothing is put in its place before the whole archive is here, has the right SHA-256, and its program
# has run once; what replaces a file does so by being renamed.
# `fail` ends the script, so that what stands before it may be a list.
# shellcheck disable=SC2015
set -eu
umask 022

# Where releases are: RELEASES/latest holds the newest version, RELEASES/vVERSION/ its archives and their
# SHA256SUMS. `scripts/release --releases URL` writes the address in here; CAUSEWAY_RELEASES is another one.
RELEASES=https://releases.invalid/causeway

DATA=/var/lib/causeway
CONFIG=/etc/causeway
UNIT=/etc/systemd/system/causeway.service
ARCHIVE_BYTES_MAX=536870912

usage() {
    cat <<'USAGE'
Install Causeway, bring it up to date, or remove it.

Usage: install.sh [OPTIONS]

  --version VERSION   this release instead of the newest
  --from FILE|URL     this archive; the SHA256SUMS beside it says what its SHA-256 has to be
  --sha256 HEX        what the SHA-256 of the archive has to be, instead of SHA256SUMS
  --prefix DIR        install into DIR/bin and DIR/share [default: /usr/local as root, else ~/.local]
  --no-service        as root too: no user, no data directory, no systemd unit
  --uninstall         remove what was installed; data and settings stay
  --purge             with --uninstall: remove data, settings and the user as well
  --help              print this

CAUSEWAY_RELEASES in the environment is where releases are looked for, instead of the address built in.
USAGE
}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

# Whether a service is wanted and this system can have one.
with_service() { [ "$service" = yes ] && is_root && [ -d /run/systemd/system ] && has systemctl; }

read_options() {
    version='' from='' sha256='' prefix='' service=yes uninstall='' purge=''
    while [ $# -gt 0 ]; do
        case $1 in
        --version | --from | --sha256 | --prefix)
            [ $# -ge 2 ] && [ -n "$2" ] || fail "$1 needs a value"
            case $1 in
            --version) version=${2#v} ;;
            --from) from=$2 ;;
            --sha256) sha256=$2 ;;
            --prefix) prefix=${2%/} ;;
            esac
            shift
            ;;
        --no-service) service=no ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --help | -h) usage && exit 0 ;;
        *) fail "$1 is no option; --help lists them" ;;
        esac
        shift
    done
    [ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall"
    if [ -z "$prefix" ]; then
        if is_root; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
    fi
    case $prefix in
    *[!A-Za-z0-9_./@+-]*) fail "--prefix $prefix: only letters, digits and _ . / @ + - can be in it" ;;
    /*) ;;
    *) fail "--prefix $prefix is not an absolute path" ;;
    esac
    case $version in *[!0-9A-Za-z.+-]*) fail "--version $version is no version" ;; esac
    home=$prefix/share/causeway
    list=$home/installed
}

# The system's name in the names of archives.
architecture() {
    [ "$(uname -s)" = Linux ] || fail "there are releases for Linux only, and this is $(uname -s)"
    case $(uname -m) in
    x86_64 | amd64) say x86_64 ;;
    aarch64 | arm64) say aarch64 ;;
    *) fail "there is no release for $(uname -m); build it from source" ;;
    esac
}

# download URL FILE: over HTTPS, also after redirects, and whole or not at all.
download() {
    case $1 in https://?*) ;; *) fail "$1 is not an https:// URL; nothing was downloaded" ;; esac
    if has curl; then
        curl --proto '=https' --proto-redir '=https' --tlsv1.2 -fsSL --retry 2 --connect-timeout 20 \
            --max-filesize "$ARCHIVE_BYTES_MAX" -o "$2" -- "$1" ||
            fail "$1 could not be downloaded whole; nothing was changed"
    elif has wget; then
        # It would follow a redirect to http.
        wget -q --max-redirect=0 -O "$2" -- "$1" ||
            fail "$1 could not be downloaded whole (with wget, no redirect is followed: install curl); nothing was changed"
    else
        fail "neither curl nor wget is here"
    fi
}

releases() {
    releases=${CAUSEWAY_RELEASES:-$RELEASES}
    case $releases in
    *//releases.invalid/*) fail "this copy of install.sh does not know where releases are: set CAUSEWAY_RELEASES, or give --from" ;;
    esac
    say "${releases%/}"
}

# The URL or file of the archive, from the options.
choose() {
    [ -z "$from" ] || return 0
    base=$(releases)
    arch=$(architecture)
    if [ -z "$version" ]; then
        download "$base/latest" "$work/latest"
        version=$(head -n 1 "$work/latest" | tr -d ' \r')
        case $version in '' | *[!0-9A-Za-z.+-]*) fail "$base/latest names no version" ;; esac
    fi
    from=$base/v$version/causeway-$version-$arch-linux.tar.gz
}

# Puts the archive and its SHA256SUMS into the work directory.
fetch() {
    name=${from##*/}
    case $name in causeway-*-linux.tar.gz) ;; *) fail "$from is not named as an archive is: causeway-VERSION-ARCH-linux.tar.gz" ;; esac
    arch=$(architecture)
    case $name in *-"$arch"-linux.tar.gz) ;; *) fail "$name is not for this machine, which is $arch" ;; esac
    case $from in
    *://*)
        download "$from" "$work/$name"
        [ -n "$sha256" ] || download "${from%/*}/SHA256SUMS" "$work/SHA256SUMS"
        ;;
    *)
        [ -f "$from" ] || fail "$from is no file"
        cp "$from" "$work/$name"
        beside=$(dirname "$from")/SHA256SUMS
        if [ -z "$sha256" ]; then
            [ -f "$beside" ] || fail "there is no $beside that says what the SHA-256 of $name has to be; give --sha256"
            cp "$beside" "$work/SHA256SUMS"
        fi
        ;;
    esac
}

# sha256_of FILE
sha256_of() {
    if has sha256sum; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

check() {
    wanted=$sha256
    [ -n "$wanted" ] || wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1; exit }' "$work/SHA256SUMS")
    wanted=$(printf '%s' "$wanted" | tr 'A-F' 'a-f')
    printf '%s\n' "$wanted" | grep -Eqx '[0-9a-f]{64}' || fail "SHA256SUMS does not say what the SHA-256 of $name has to be; nothing was changed"
    found=$(sha256_of "$work/$name")
    [ "$found" = "$wanted" ] || fail "$name is not what it should be, so nothing was changed.
  its SHA-256:     $found
  it has to be:    $wanted"
}

# Leaves the files of a release in $unpacked.
obtain() {
    choose_unpacked && return
    choose
    fetch
    check
    mkdir "$work/unpacked"
    tar -xzf "$work/$name" -C "$work/unpacked" --no-same-owner || fail "$name cannot be unpacked"
    unpacked=$work/unpacked/${name%.tar.gz}
    [ -f "$unpacked/causeway" ] || fail "$name holds no ${name%.tar.gz}/causeway"
}

# Whether this script lies in an unpacked archive and nothing else was asked for. Read from a pipe, its name
# is that of the shell.
choose_unpacked() {
    [ -z "$from$version" ] || return 1
    case ${0##*/} in install.sh) ;; *) return 1 ;; esac
    unpacked=$(cd "$(dirname "$0")" && pwd)
    [ -f "$unpacked/causeway" ] && [ -f "$unpacked/SHA256SUMS" ] || return 1
    (cd "$unpacked" && sha256sum --quiet -c SHA256SUMS >"$work/differs" 2>&1) ||
        fail "what is beside this script is not what was released, so nothing was changed: $(head -n 3 "$work/differs")"
}

# remember LINE: what uninstalling has to undo, in the list of it: a file, or folder:FOLDER.
remember() {
    if [ ! -d "$home" ]; then
        pending="$pending $1"
    elif ! grep -Fqx "$1" "$list" 2>/dev/null; then
        say "$1" >>"$list"
    fi
}

# make_folder FOLDER: with those above it; uninstalling removes the ones that were not there, once empty.
make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")"
    mkdir "$1" || fail "$1 cannot be made; as another user than root, give --prefix"
    remember "folder:$1"
}

# put SOURCE TARGET MODE: whole or not at all.
put() {
    make_folder "$(dirname "$2")"
    part=$(dirname "$2")/.${2##*/}.new
    rm -f "$part"
    cp "$1" "$part" && chmod "$3" "$part" && mv -f "$part" "$2" || {
        rm -f "$part"
        fail "$2 could not be written"
    }
    remember "$2"
}

# abandon WHY: before anything took the place of something.
abandon() {
    rm -f "$program"
    [ -e "$target" ] || remove_listed
    fail "$1"
}

install_files() {
    target=$prefix/bin/causeway
    pending=''
    make_folder "$home"
    for line in $pending; do remember "$line"; done
    make_folder "$prefix/bin"
    [ -w "$prefix/bin" ] || fail "$prefix/bin cannot be written to; as another user than root, give --prefix"
    # Where it is going to be: another file system may forbid to run programs.
    program=$prefix/bin/.causeway.new
    rm -f "$program"
    cp "$unpacked/causeway" "$program" && chmod 0755 "$program" ||
        abandon "$target could not be written; nothing was changed"
    new=$("$program" --version 2>"$work/why") ||
        abandon "the program does not run here, so nothing was changed; it needs glibc 2.36 or later: $(head -n 2 "$work/why")"
    old=''
    [ ! -x "$target" ] || old=$("$target" --version 2>/dev/null || say 'an unknown version')
    for file in install.sh README.md LICENSE NOTICE CHANGELOG.md config.default.toml; do
        [ ! -f "$unpacked/$file" ] || put "$unpacked/$file" "$home/$file" 0644
    done
    for pair in causeway.bash:bash-completion/completions/causeway _causeway:zsh/site-functions/_causeway \
        causeway.fish:fish/vendor_completions.d/causeway.fish; do
        [ ! -f "$unpacked/completions/${pair%%:*}" ] || put "$unpacked/completions/${pair%%:*}" "$prefix/share/${pair#*:}" 0644
    done
    mv -f "$program" "$target"
    remember "$target"
    if [ -z "$old" ]; then say "$new is at $target."; else say "$target was $old and is $new."; fi
}

# Whether the user is the one this script makes.
our_user() { id causeway >/dev/null 2>&1 && [ "$(getent passwd causeway | cut -d : -f 6)" = "$DATA" ]; }

install_service() {
    id causeway >/dev/null 2>&1 ||
        useradd --system --user-group --home-dir "$DATA" --no-create-home --shell /usr/sbin/nologin causeway
    [ -d "$DATA" ] || install -d -o causeway -g causeway -m 0700 "$DATA"
    mkdir -p "$CONFIG"
    [ -e "$CONFIG/causeway.toml" ] || cp "$unpacked/causeway.toml" "$CONFIG/causeway.toml"
    sed "s|/usr/local/bin/causeway|$prefix/bin/causeway|" "$unpacked/causeway.service" >"$work/unit"
    put "$work/unit" "$UNIT" 0644
    systemctl daemon-reload
    if systemctl is-active --quiet causeway; then
        systemctl restart causeway
        say "The service was started again; its database is brought up to date as it starts."
    else
        say "The service is there and not started:
  systemctl enable --now causeway     then: journalctl -u causeway    (a link makes the first admin)"
    fi
    say "Settings: $CONFIG/causeway.toml. Data: $DATA; back up $DATA/master.key apart from it."
}

after() {
    if with_service; then
        install_service
    else
        say "Start it with: causeway serve"
    fi
    case :${PATH:-}: in
    *:"$prefix/bin":*) ;;
    *) say "$prefix/bin is not in PATH: add it, or call $prefix/bin/causeway." ;;
    esac
    say "To remove it: sh $home/install.sh --uninstall$([ "$prefix" = /usr/local ] || say " --prefix $prefix")"
}

remove_service() {
    if has systemctl && [ -d /run/systemd/system ]; then
        systemctl disable --now causeway >/dev/null 2>&1 || true
    fi
    rm -f "$UNIT"
    if has systemctl && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

remove_listed() {
    cp "$list" "$work/installed"
    while read -r line; do
        case $line in "$prefix"/*) rm -f "$line" ;; esac
    done <"$work/installed"
    rm -f "$list"
    # The deepest first; one that holds something else stays.
    sed -n 's/^folder://p' "$work/installed" | sort -r | while read -r folder; do
        rmdir "$folder" 2>/dev/null || true
    done
}

remove() {
    if [ ! -f "$list" ]; then
        if [ -n "$purge" ] && is_root && [ -d "$DATA" ]; then
            remove_data
            return
        fi
        fail "nothing was installed in $prefix by install.sh: there is no $list"
    fi
    was_service=''
    if is_root && grep -Fqx "$UNIT" "$list"; then
        was_service=yes
        remove_service
    fi
    remove_listed
    say "Causeway is removed from $prefix."
    [ -z "$was_service" ] || remove_data
}

remove_data() {
    if [ -n "$purge" ]; then
        ! our_user || userdel causeway
        rm -rf "$DATA" "$CONFIG"
        say "Its data, its settings and its user are removed as well."
        return
    fi
    say "Left where they are: the data in $DATA with its master key, the settings in $CONFIG, and the user
they belong to, causeway. --uninstall --purge removes them as well."
}

main() {
    read_options "$@"
    work=$(mktemp -d "${TMPDIR:-/tmp}/causeway.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    if [ -n "$uninstall" ]; then
        remove
        return
    fi
    architecture >/dev/null
    obtain
    install_files
    after
}

# The last line: of a script that was cut off on its way here, nothing runs.
main "$@"
