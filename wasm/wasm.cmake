# The WebAssembly modules of the npm package: mudpt.wasm with plain SIMD, mudpt-relaxed.wasm with relaxed SIMD (fused
# multiply-add) and mudpt-int8.wasm with products of bytes (relaxed SIMD for these alone), and the run-time code that
# the three share; mudpt-heads.wasm, without any. No thread starts when it is told
# { threads: 1 }. wasm/exports.json and exports-heads.json are the reviewed lists of what they export.
set(MUDPT_WASM_FOLDER ${PROJECT_SOURCE_DIR}/js/wasm CACHE PATH "where the modules are written")
option(MUDPT_ASSERTIONS "Emscripten's own checks of the running module" OFF)

set(exports ${PROJECT_SOURCE_DIR}/wasm/exports.json)
set(link_options
    -pthread --no-entry --js-library ${PROJECT_SOURCE_DIR}/wasm/library.js
    --extern-pre-js ${PROJECT_SOURCE_DIR}/wasm/banner.js
    # Node gets from js/node what it lacks of a browser; Emscripten's own way would have bundlers look for its modules.
    -sMODULARIZE -sEXPORT_ES6 -sENVIRONMENT=web,worker -sFILESYSTEM=0 -sDYNAMIC_EXECUTION=0
    -sEXPORTED_FUNCTIONS=@${exports} -sEXPORTED_RUNTIME_METHODS=wasmMemory,PThread
    # js/core/module.js brings the memory, as large as the platform grants: what it begins with is named there, too.
    -sINCOMING_MODULE_JS_API=instantiateWasm,wasmMemory --js-transform "node ${PROJECT_SOURCE_DIR}/wasm/trim.js"
    -sINITIAL_MEMORY=16MB -sALLOW_MEMORY_GROWTH -sMEMORY_GROWTH_LINEAR_STEP=4MB -sMAXIMUM_MEMORY=4GB
    # The smaller of its two allocators: memory is taken in few large blocks, which are kept.
    -sABORTING_MALLOC=0 -sMALLOC=emmalloc -sTEXTDECODER=2 -Wno-pthreads-mem-growth
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
        LINKER_LANGUAGE C OUTPUT_NAME mudpt SUFFIX .mjs RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${name}
        LINK_DEPENDS "${exports};${PROJECT_SOURCE_DIR}/wasm/library.js;${PROJECT_SOURCE_DIR}/wasm/trim.js")
endfunction()

# What does not compute in long loops is compiled for size, and LayerNorm and what is near it, whose loops are written
# in SIMD and gain nothing of a step: the module is downloaded.
file(GLOB small RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/src/base/*.c ${PROJECT_SOURCE_DIR}/src/methods/*.c ${PROJECT_SOURCE_DIR}/src/train/*.c
    ${PROJECT_SOURCE_DIR}/src/clip/*.c ${PROJECT_SOURCE_DIR}/src/image/*.c ${PROJECT_SOURCE_DIR}/src/heads/*.c
    ${PROJECT_SOURCE_DIR}/src/kernels/loss.c ${PROJECT_SOURCE_DIR}/src/kernels/probe.c
    ${PROJECT_SOURCE_DIR}/src/kernels/rope.c ${PROJECT_SOURCE_DIR}/src/kernels/softmax.c
    ${PROJECT_SOURCE_DIR}/src/kernels/trial.c
    ${PROJECT_SOURCE_DIR}/src/kernels/layernorm.c ${PROJECT_SOURCE_DIR}/src/kernels/activation.c
    ${PROJECT_SOURCE_DIR}/src/mudpt.c)
list(FILTER small EXCLUDE REGEX "/(resize|jpeg_pixels|png)[.]c$")
set_source_files_properties(${small} PROPERTIES COMPILE_OPTIONS -Oz)
# A picture's decoder takes a quarter of the module at -O3, and gains 2 % of the time of decoding and encoding by it.
set_source_files_properties(src/image/jpeg_pixels.c src/image/png.c src/image/resize.c src/kernels/panels.c
    src/kernels/microkernel.c PROPERTIES COMPILE_OPTIONS -Os)
# Tiles are computed row by row, as they are written: V8 keeps the order, and one by columns needs more registers.
set_source_files_properties(src/kernels/gemm.c src/kernels/integer.c PROPERTIES COMPILE_OPTIONS
    "-Os;-mllvm;-pre-RA-sched=source")
# What is unrolled where it is said gains nothing from -O3, but grows by a tenth.
set_source_files_properties(src/kernels/attention.c PROPERTIES COMPILE_OPTIONS -O2)

add_variant(plain)
add_variant(relaxed -mrelaxed-simd)
add_variant(int8 -mrelaxed-simd -DMUDPT_BYTE_PRODUCTS)

# Heads need no model: a module of their own with memory of its own, on one thread, which is fetched where one is made.
file(GLOB heads CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/base/*.c ${PROJECT_SOURCE_DIR}/src/kernels/*.c
    ${PROJECT_SOURCE_DIR}/src/heads/*.c ${PROJECT_SOURCE_DIR}/src/mudpt.c)
add_executable(heads ${heads})
configure_target(heads)
target_compile_options(heads PRIVATE -msimd128)
target_link_options(heads PRIVATE
    --no-entry -msimd128 -sSTANDALONE_WASM -sEXPORTED_FUNCTIONS=@${PROJECT_SOURCE_DIR}/wasm/exports-heads.json
    -sINITIAL_MEMORY=4MB -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB
    -sABORTING_MALLOC=0 -sMALLOC=emmalloc -sFILESYSTEM=0 -sSTACK_SIZE=256KB -sSUPPORT_LONGJMP=0 -sASSERTIONS=0)
set_target_properties(heads PROPERTIES
    LINKER_LANGUAGE C OUTPUT_NAME mudpt-heads SUFFIX .wasm RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/heads
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/wasm/exports-heads.json)

# For the bench alone and in no package: products and towers without the library around them.
file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/kernels/*.c ${PROJECT_SOURCE_DIR}/src/base/*.c)
add_custom_target(bench)
function(add_bench name file sources)
    add_executable(${name} EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/bench/${file} ${sources})
    configure_target(${name})
    target_compile_options(${name} PRIVATE -pthread -msimd128 ${ARGN})
    target_link_options(${name} PRIVATE -pthread --no-entry -sMODULARIZE -sEXPORT_ES6 -sENVIRONMENT=web,worker,node
                        -sINITIAL_MEMORY=256MB -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB -Wno-pthreads-mem-growth
                        -sPTHREAD_POOL_SIZE=1 -msimd128 ${ARGN})
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C SUFFIX .mjs)
    add_dependencies(bench ${name})
endfunction()
add_bench(gemm-plain gemm.c "${kernels}")
add_bench(gemm-relaxed gemm.c "${kernels}" -mrelaxed-simd)
add_bench(gemm-int8 gemm.c "${kernels}" -mrelaxed-simd -DMUDPT_BYTE_PRODUCTS)
add_bench(savings-relaxed savings.c "${sources}" -mrelaxed-simd)

# The run-time code does not depend on the variant, which is checked.
add_custom_command(
    OUTPUT ${MUDPT_WASM_FOLDER}/mudpt.mjs ${MUDPT_WASM_FOLDER}/mudpt.wasm ${MUDPT_WASM_FOLDER}/mudpt-relaxed.wasm
           ${MUDPT_WASM_FOLDER}/mudpt-int8.wasm ${MUDPT_WASM_FOLDER}/mudpt-heads.wasm
    COMMAND ${CMAKE_COMMAND} -E compare_files plain/mudpt.mjs relaxed/mudpt.mjs
    COMMAND ${CMAKE_COMMAND} -E compare_files plain/mudpt.mjs int8/mudpt.mjs
    COMMAND ${CMAKE_COMMAND} -E make_directory ${MUDPT_WASM_FOLDER}
    COMMAND ${CMAKE_COMMAND} -E copy plain/mudpt.mjs plain/mudpt.wasm ${MUDPT_WASM_FOLDER}
    COMMAND ${CMAKE_COMMAND} -E copy relaxed/mudpt.wasm ${MUDPT_WASM_FOLDER}/mudpt-relaxed.wasm
    COMMAND ${CMAKE_COMMAND} -E copy int8/mudpt.wasm ${MUDPT_WASM_FOLDER}/mudpt-int8.wasm
    COMMAND ${CMAKE_COMMAND} -E copy heads/mudpt-heads.wasm ${MUDPT_WASM_FOLDER}
    DEPENDS plain relaxed int8 heads
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
add_custom_target(modules ALL DEPENDS ${MUDPT_WASM_FOLDER}/mudpt.mjs)
