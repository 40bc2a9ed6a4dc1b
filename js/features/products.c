/* What js/features/products.js holds as text, made by
 *   clang --target=wasm32 -Os -msimd128 -ffreestanding -nostdlib -c products.c -o products.o
 *   wasm-ld --no-entry --import-memory --strip-all -z stack-size=0 products.o -o products.wasm
 * A page searches where it is, without the library's module, which its worker has. */
#include <wasm_simd128.h>

static v128_t add_products(v128_t sum, const float *a, const float *b) {
    return wasm_f32x4_add(sum, wasm_f32x4_mul(wasm_v128_load(a), wasm_v128_load(b)));
}

/* out [rows]: of each row of data [rows, width] the sum of its products with query [width]; width a multiple of 16 */
__attribute__((export_name("products"))) void products(const float *query, const float *data, int rows, int width,
                                                       float *out) {
    for (int r = 0; r < rows; r++, data += width) {
        v128_t a = wasm_f32x4_splat(0), b = a, c = a, d = a;
        for (int i = 0; i < width; i += 16) {
            a = add_products(a, data + i, query + i);
            b = add_products(b, data + i + 4, query + i + 4);
            c = add_products(c, data + i + 8, query + i + 8);
            d = add_products(d, data + i + 12, query + i + 12);
        }
        v128_t sum = wasm_f32x4_add(wasm_f32x4_add(a, b), wasm_f32x4_add(c, d));
        out[r] = wasm_f32x4_extract_lane(sum, 0) + wasm_f32x4_extract_lane(sum, 1) + wasm_f32x4_extract_lane(sum, 2) +
                 wasm_f32x4_extract_lane(sum, 3);
    }
}
