#!/usr/bin/env bash
# Puts Emscripten 3.1.69 (LLVM 19) into FOLDER on Debian bookworm. Used by ./run; by hand:
#
#   scripts/setup-emscripten.sh FOLDER && . FOLDER/env.sh && emcc --version
#
# Bookworm's own emscripten (3.1.6) is too old for relaxed SIMD. Its LLVM 19 is not, so that is installed; Emscripten
# and Binaryen come from the next release of Debian, unpacked in FOLDER and never installed. Binaryen's programs need
# that release's C library and are started through its dynamic loader, so the system's own stays untouched.
#
# env.sh is written last: a run that was interrupted leaves none, and the next one starts over.
set -euo pipefail
folder=$(realpath -m "${1:?usage: setup-emscripten.sh FOLDER}")
release=trixie
unpacked=(emscripten binaryen node-acorn libc6 libstdc++6 libgcc-s1)

say() { printf 'emscripten: %s\n' "$*" >&2; }
refuse() { say "$*"; exit 1; }
# shellcheck source=scripts/packages.sh
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

# Runs a command whose output matters only if it fails.
quietly() {
    local output
    output=$("$@" 2>&1 < /dev/null) && return
    printf '%s\n' "$output" >&2
    refuse "failed: $*"
}

# Where this system's packages come from, whatever file below /etc/apt says so, with the other release's name put in.
write_sources() {
    local uri keys=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016 # the variables are apt's
    uri=$(apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' |
        sed -nE 's/^Packages (bookworm|stable|oldstable) main //p' | head -1)
    [ -n "$uri" ] ||
        refuse "found no list of Debian's packages below /etc/apt; install Emscripten 3.1.61 or newer yourself"
    [ -e "$keys" ] && keys=" [signed-by=$keys]" || keys=
    printf 'deb%s %s %s main\n' "$keys" "$uri" "$release" > "$1/next.list"
    echo "$1/next.list"
}

need_packages clang-19=clang-19 wasm-ld-19=lld-19 llvm-ar-19=llvm-19 python3=python3

# What is there was made for this very path, and the Node it names is still there; or it is made anew.
if grep -qsF "'$folder/emscripten.config'" "$folder/env.sh"; then
    node=$(sed -nE "s/^NODE_JS = '(.*)'$/\1/p" "$folder/emscripten.config")
    [ ! -x "$node" ] || exit 0
fi
rm -rf "$folder"
mkdir -p "$folder/root" "$folder/binaryen/bin"

say "downloading Emscripten 3.1.69 and Binaryen"
apt=$folder/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
sources=$(write_sources "$apt")
options=(-o "Dir::Etc::sourcelist=$sources" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o Debug::NoLocking=1 -o "APT::Sandbox::User=$(id -un)")
quietly apt-get "${options[@]}" update
cd "$apt/packages"
quietly apt-get "${options[@]}" download "${unpacked[@]}"
cd "$folder"

say "unpacking into $folder"
for package in "$apt"/packages/*.deb; do dpkg -x "$package" "$folder/root"; done
rm -rf "$apt"

emscripten=$folder/root/usr/share/emscripten
loader=$(find "$folder/root/usr/lib" -name 'ld-linux-*.so.*' -print -quit)
[ -n "$loader" ] || refuse "libc6 of $release has no dynamic loader; install Emscripten 3.1.61 or newer yourself"
libraries=$(dirname "$loader")
for program in "$folder"/root/usr/bin/wasm*; do
    wrapper=$folder/binaryen/bin/$(basename "$program")
    printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
        "$loader" "$libraries:$libraries/binaryen" "$program" > "$wrapper"
    chmod +x "$wrapper"
done

# emcc's optimiser is JavaScript: it wants acorn, and not the module type of a package.json above FOLDER.
echo '{ "private": true, "type": "commonjs" }' > "$folder/package.json"
mkdir -p "$emscripten/node_modules"
ln -sfn ../../nodejs/acorn "$emscripten/node_modules/acorn"

cat > "$folder/emscripten.config" <<END
LLVM_ROOT = '/usr/bin'
LLVM_ADD_VERSION = '19'
CLANG_ADD_VERSION = '19'
BINARYEN_ROOT = '$folder/binaryen'
NODE_JS = '$(command -v node)'
CACHE = '$emscripten/cache'
FROZEN_CACHE = True
END
cat > "$folder/env.sh.new" <<END
export EM_CONFIG='$folder/emscripten.config'
export PATH='$emscripten':"\$PATH"
END

# shellcheck source=/dev/null
version=$(. "$folder/env.sh.new" && emcc --version) || refuse "emcc does not run; install Emscripten yourself"
say "ready: ${version%%$'\n'*}"
mv "$folder/env.sh.new" "$folder/env.sh"
