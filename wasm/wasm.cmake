# The two WebAssembly modules of the npm package: plain SIMD, and relaxed SIMD (fused multiply-add). Each starts no
# thread when it is created with { threads: 1 }. wasm/exports.json is the reviewed list of what they export.
set(MUDPT_WASM_FOLDER ${PROJECT_SOURCE_DIR}/js/wasm CACHE PATH "where the modules are written")
option(MUDPT_ASSERTIONS "Emscripten's own checks of the running module" OFF)

set(exports ${PROJECT_SOURCE_DIR}/wasm/exports.json)
set(link_options
    -pthread --no-entry --js-library ${PROJECT_SOURCE_DIR}/wasm/library.js
    --extern-pre-js ${PROJECT_SOURCE_DIR}/wasm/banner.js
    -sMODULARIZE -sEXPORT_ES6 -sENVIRONMENT=web,worker,node -sFILESYSTEM=0 -sMIN_NODE_VERSION=200000
    -sEXPORTED_FUNCTIONS=@${exports} -sEXPORTED_RUNTIME_METHODS=wasmMemory,PThread
    -sINCOMING_MODULE_JS_API=locateFile
    -sINITIAL_MEMORY=16MB -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB -sABORTING_MALLOC=0 -Wno-pthreads-mem-growth
    -sSTACK_SIZE=1MB -sDEFAULT_PTHREAD_STACK_SIZE=1MB -sSUPPORT_LONGJMP=0
    # As many workers as were asked for start before the module is ready. A further thread is refused, never waited for.
    "SHELL:-sPTHREAD_POOL_SIZE='(Module[\"threads\"]||1)-1'" -sPTHREAD_POOL_SIZE_STRICT=2)
if(MUDPT_ASSERTIONS)
    list(APPEND link_options -sASSERTIONS=2 -sSTACK_OVERFLOW_CHECK=2)
else()
    list(APPEND link_options -sASSERTIONS=0)
endif()

function(add_variant name)
    add_executable(${name} ${sources})
    configure_target(${name})
    target_compile_options(${name} PRIVATE -pthread -msimd128 ${ARGN})
    target_link_options(${name} PRIVATE ${link_options} -msimd128 ${ARGN})
    set_target_properties(${name} PROPERTIES
        LINKER_LANGUAGE C SUFFIX .mjs RUNTIME_OUTPUT_DIRECTORY ${MUDPT_WASM_FOLDER}
        LINK_DEPENDS "${exports};${PROJECT_SOURCE_DIR}/wasm/library.js")
endfunction()

add_variant(mudpt-plain)
add_variant(mudpt-relaxed -mrelaxed-simd)
