# What runs long, and is no part of ./run test: sanitizers in full, pictures of other encoders, models of the family,
# fuzzing for hours. For ./run, which sources this and has what it calls.

# What ./run test leaves out under sanitizers and assertions (is_short in tests/c/check.h; the filter of the preset
# tsan; the recorded runs).
sanitizers_in_full() {
    local failed=0
    lock
    build_native asan
    build_native tsan
    unlock
    cd "$root"
    MUDPT_LONG=1 ctest --test-dir build/asan --output-on-failure -j "$(cores)" || failed=1
    # What forks while there are threads, the thread sanitizer does not follow.
    MUDPT_LONG=1 ctest --test-dir build/tsan --output-on-failure -j "$(cores)" -E '^test_failures$' || failed=1
    MUDPT_LONG=1 test_assertions || failed=1
    return $failed
}

# soak pictures FILES: so many of each format.
soak_pictures() {
    lock
    build_native native
    need_packages cjpeg=libjpeg-turbo-progs gifsicle=gifsicle convert=imagemagick
    need_venv pictures "$root/tests/trust/pictures.txt" "Pillow and imagecodecs"
    unlock
    "$root/.toolchain/pictures/bin/python" tests/trust/pictures.py build/native/decode_pictures build/soak/pictures "$1"
}

# compat [PATTERN]: rows of the table of models. PyTorch takes most of the time, and 6 GB on disk.
compat() {
    local venv=$root/.toolchain/compat script=compat
    need_command_line
    lock
    need_venv compat "$root/tests/compat/requirements.txt" "PyTorch, transformers and open_clip"
    unlock
    cd "$root"
    [ "${1:-}" != vocabulary ] || script=vocabulary
    PYTHON=$venv/bin/python node "tests/compat/$script.js" "$@"
}

# soak cache RUNS: so many random interleavings of what happens to the cache.
soak_cache() {
    MUDPT_RUNS=${1:-2000} node --test tests/trust/cache.test.js
}

# soak PART: what there is to do, or everything.
soak() {
    if [ "${1:-}" = sanitizers ]; then
        sanitizers_in_full
        return
    fi
    if [ "${1:-}" = pictures ]; then
        cd "$root"
        soak_pictures "${2:-1000}"
        return
    fi
    need_command_line
    lock
    build_fuzz
    unlock
    cd "$root"
    [ $# -gt 0 ] || set -- all
    case $1 in
        all)
            for part in fuzz pickles many hour; do node --expose-gc tests/trust/soak.js $part || return 1; done
            soak_cache
            ;;
        cache) soak_cache "${2:-}" ;;
        fuzz | pickles | hour | many | table) node --expose-gc tests/trust/soak.js "$@" ;;
        *) refuse "unknown part \"$1\"; parts: fuzz pickles hour many table cache sanitizers pictures" ;;
    esac
}
