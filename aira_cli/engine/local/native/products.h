// Products of packed weights with float32 rows.
//
// A weight of N outputs and K inputs lies in strips of 32 outputs, two tiles of 16, a SIMD lane
// each. For every lane a tile holds four bytes at a time: eight 4-bit values, inputs k..k+3 in
// the low halves and k+4..k+7 in the high ones, or four 8-bit values. The two tiles of a strip
// take turns, so that a strip is read from memory from its beginning to its end. Weights are
// unsigned; what is to be subtracted (a zero point) or added (a minimum) goes through the sum
// of the inputs.
//
// A row x is rounded, group by group, to fixed point. With two planes x = scale * (256 * hi + lo)
// for signed bytes hi and lo, and the rounding is at most 2^-16 of the group's largest value;
// with one plane x = scale * hi, which is 2^-8 and half the work. Products are then exact in
// integers, four to an instruction. Every row is treated by itself and in the same order
// whatever its neighbours, so a sample does not depend on the batch.
//
// 16-bit and 32-bit floating weights are multiplied as they lie in their file, row by row.

#pragma once

#include "lanes.h"
#include "pool.h"

extern "C" {

// How w comes from the stored q; equal to the numbers in native/kernels.py.
enum Kind : int32_t {
    INT4_POINTS = 0,   // (q - point) * scale     points [N/32][K/G][32] float16
    INT4_EIGHT = 1,    // (q - 8) * scale
    INT4_MINIMA = 2,   // q * scale + minimum     minima [N/32][K/G][32] float16
    INT8_GROUPS = 3,   // (q - 128) * scale
    INT8_ROWS = 4,     // (q - 128) * scale       scale [N] float32, one for an output
    FLOAT16 = 5, BFLOAT16 = 6, FLOAT32 = 7,       // [N][K] as it is
};

struct Weight {
    const void* values;
    const void* scale;   // float16 [N/32][K/G][32] unless said otherwise
    const void* offset;  // points or minima
    const float* bias;   // [N] or null
    int64_t outputs, inputs, group;
    int32_t kind;
};

}  // extern "C"

namespace {

constexpr int TILES = 2;
constexpr int64_t STRIP = TILES * LANES;
constexpr int64_t AHEAD = 2048;  // bytes that are asked for before they are needed
constexpr int64_t NEAR = 1 << 18;  // bytes of rows that stay in a core's cache

// Rows in fixed point. `sum` is that of the integers of a group.
struct Rows {
    std::vector<int8_t> hi, lo;
    std::vector<float> scale;
    std::vector<int32_t> sum;
    int64_t group = 0;
    int planes = 2;

    void resize(int64_t rows, int64_t inputs, int64_t size) {
        group = size;
        hi.resize(rows * inputs);
        lo.resize(rows * inputs);
        scale.resize(rows * inputs / size);
        sum.resize(rows * inputs / size);
    }
};

void round_group(const float* x, int64_t group, int planes, int8_t* hi, int8_t* lo, float* scale,
                 int32_t* sum) {
    // 256 * hi + lo fits two bytes, and sums of 128 products with a byte stay below 2^31.
    const float range = planes == 2 ? 32512.0f : 127.0f;
    Floats most = all(0.0f);
    for (int64_t k = 0; k < group; k += LANES) most = largest(most, magnitude(load(x + k)));
    const float peak = top(most);
    *scale = peak / range;
    const Floats inverse = all(peak > 1e-30f ? range / peak : 0.0f);
    Ints added = no_ints();
    for (int64_t k = 0; k < group; k += LANES) {
        const Ints v = rounded(times(load(x + k), inverse));
        const Ints high = planes == 2 ? high_byte(v) : v;
        store_bytes(hi + k, high);
        if (planes == 2) store_bytes(lo + k, low_byte(v, high));
        added = add(added, v);
    }
    *sum = total(added);
}

void round_row(const float* x, int64_t row, int64_t inputs, Rows& to) {
    const int64_t groups = inputs / to.group;
    for (int64_t g = 0; g < groups; ++g) {
        const int64_t at = row * inputs + g * to.group, n = row * groups + g;
        round_group(x + at, to.group, to.planes, &to.hi[at], &to.lo[at], &to.scale[n], &to.sum[n]);
    }
}

// The integer sums of one group: M rows by one strip. One row goes in two chains of additions,
// so that one does not wait for the other.
template <int BITS, int M, int PLANES>
inline void group_sums(const uint8_t* values, const int8_t* hi, const int8_t* lo, const Weight& w,
                       Ints (&sums)[M][TILES]) {
    constexpr int CHAINS = M == 1 ? 2 : 1;
    Ints h[CHAINS][M][TILES], l[CHAINS][M][TILES];
    for (int c = 0; c < CHAINS; ++c)
        for (int m = 0; m < M; ++m)
            for (int t = 0; t < TILES; ++t) h[c][m][t] = l[c][m][t] = no_ints();
    for (int64_t k = 0; k < w.group; k += 8) {
        Ints parts[2][TILES];  // inputs k..k+3 and k+4..k+7
        const uint8_t* at = values + k * STRIP * BITS / 8;
        if (M == 1)
            for (int line = 0; line < TILES * BITS / 4; ++line)
                _mm_prefetch(reinterpret_cast<const char*>(at + AHEAD + line * 64), _MM_HINT_T0);
        for (int t = 0; t < TILES; ++t) {
            parts[0][t] = load_bytes(at + t * 64);
            parts[1][t] = BITS == 4 ? high_halves(parts[0][t]) : load_bytes(at + (TILES + t) * 64);
            if (BITS == 4) parts[0][t] = low_halves(parts[0][t]);
        }
        for (int part = 0; part < 2; ++part)
            for (int m = 0; m < M; ++m) {
                const int64_t input = m * w.inputs + k + part * 4;
                const int chain = part % CHAINS;
                const Ints high = four(hi + input);
                for (int t = 0; t < TILES; ++t)
                    h[chain][m][t] = dot<BITS>(h[chain][m][t], parts[part][t], high);
                if constexpr (PLANES == 2) {
                    const Ints low = four(lo + input);
                    for (int t = 0; t < TILES; ++t)
                        l[chain][m][t] = dot<BITS>(l[chain][m][t], parts[part][t], low);
                }
            }
    }
    for (int m = 0; m < M; ++m)
        for (int t = 0; t < TILES; ++t) {
            for (int c = 1; c < CHAINS; ++c) {
                h[0][m][t] = add(h[0][m][t], h[c][m][t]);
                l[0][m][t] = add(l[0][m][t], l[c][m][t]);
            }
            sums[m][t] = PLANES == 2 ? add(times_256(h[0][m][t]), l[0][m][t]) : h[0][m][t];
        }
}

// M rows from `row` on by one strip.
template <int KIND, int M, int PLANES>
inline void packed_product(const Weight& w, int64_t strip, const Rows& x, int64_t row,
                           Floats (&out)[M][TILES]) {
    constexpr int BITS = KIND <= INT4_MINIMA ? 4 : 8;
    constexpr int POINT = KIND == INT4_EIGHT ? 8 : BITS == 8 ? 128 : 0;
    const int64_t groups = w.inputs / w.group, tables = strip * groups * STRIP;
    const uint8_t* values = static_cast<const uint8_t*>(w.values) + strip * w.inputs * STRIP * BITS / 8;
    const uint16_t* scales = static_cast<const uint16_t*>(w.scale) + tables;
    const uint16_t* offsets = static_cast<const uint16_t*>(w.offset) + tables;
    for (int m = 0; m < M; ++m)
        for (int t = 0; t < TILES; ++t) out[m][t] = all(0.0f);
    for (int64_t g = 0; g < groups; ++g) {
        Ints sums[M][TILES];
        const int64_t at = row * w.inputs + g * w.group;
        group_sums<BITS, M, PLANES>(values, &x.hi[at], &x.lo[at], w, sums);
        values += w.group * STRIP * BITS / 8;
        for (int t = 0; t < TILES; ++t) {
            Floats scale, offset;
            if constexpr (KIND != INT8_ROWS) scale = from_float16(scales + t * LANES);
            if constexpr (KIND == INT4_POINTS || KIND == INT4_MINIMA)
                offset = from_float16(offsets + t * LANES);
            for (int m = 0; m < M; ++m) {
                const int64_t n = (row + m) * groups + g;
                const float sum = static_cast<float>(x.sum[n]), unit = x.scale[n];
                Floats product = floats(less(sums[m][t], POINT * x.sum[n]));
                if constexpr (KIND == INT4_POINTS) product = fma(offset, all(-sum), product);
                if constexpr (KIND == INT8_ROWS)
                    out[m][t] = fma(product, all(unit), out[m][t]);
                else
                    out[m][t] = fma(times(product, all(unit)), scale, out[m][t]);
                if constexpr (KIND == INT4_MINIMA)
                    out[m][t] = fma(offset, all(sum * unit), out[m][t]);
            }
        }
        scales += STRIP, offsets += STRIP;
    }
    if constexpr (KIND == INT8_ROWS)
        for (int t = 0; t < TILES; ++t) {
            const Floats scale = load(static_cast<const float*>(w.scale) + strip * STRIP + t * LANES);
            for (int m = 0; m < M; ++m) out[m][t] = times(out[m][t], scale);
        }
}

// Where results go: rows of `stride` floats, added to what is there if `adds`.
struct Target {
    float* y;
    int64_t stride;
    bool adds;
};

void put(const Target& to, int64_t row, const float* bias, int64_t output, int64_t count,
         const float* results) {
    float* y = to.y + row * to.stride + output;
    for (int64_t i = 0; i < count; ++i)
        y[i] = results[i] + (bias ? bias[output + i] : 0.0f) + (to.adds ? y[i] : 0.0f);
}

template <int KIND, int M, int PLANES>
void packed_rows(const Weight& w, int64_t strip, const Rows& x, int64_t& row, int64_t end,
                 const Target& to) {
    for (; row + M <= end; row += M) {
        Floats out[M][TILES];
        packed_product<KIND, M, PLANES>(w, strip, x, row, out);
        for (int m = 0; m < M; ++m) {
            float results[STRIP];
            for (int t = 0; t < TILES; ++t) store(results + t * LANES, out[m][t]);
            const int64_t output = strip * STRIP;
            put(to, row + m, w.bias, output, std::min(STRIP, w.outputs - output), results);
        }
    }
}

// As many rows at once as there are registers for their sums.
template <int KIND>
void packed_strip(const Weight& w, int64_t strip, const Rows& x, int64_t row, int64_t end,
                  const Target& to) {
    if (x.planes == 2) {
        packed_rows<KIND, MOST_SUMS / 2, 2>(w, strip, x, row, end, to);
        packed_rows<KIND, 2, 2>(w, strip, x, row, end, to);
        packed_rows<KIND, 1, 2>(w, strip, x, row, end, to);
    } else {
        packed_rows<KIND, MOST_SUMS, 1>(w, strip, x, row, end, to);
        packed_rows<KIND, 2, 1>(w, strip, x, row, end, to);
        packed_rows<KIND, 1, 1>(w, strip, x, row, end, to);
    }
}

template <int KIND>
inline Floats widen(const void* values, int64_t at) {
    if constexpr (KIND == FLOAT16) return from_float16(static_cast<const uint16_t*>(values) + at);
    if constexpr (KIND == BFLOAT16) return from_bfloat16(static_cast<const uint16_t*>(values) + at);
    return load(static_cast<const float*>(values) + at);
}

// M rows by N outputs of a weight that is stored row by row.
template <int KIND, int M, int N>
void plain_tile(const Weight& w, int64_t output, const float* x, int64_t row, const Target& to) {
    Floats sums[M][N];
    for (int m = 0; m < M; ++m)
        for (int n = 0; n < N; ++n) sums[m][n] = all(0.0f);
    for (int64_t k = 0; k < w.inputs; k += LANES) {
        Floats weights[N];
        for (int n = 0; n < N; ++n) weights[n] = widen<KIND>(w.values, (output + n) * w.inputs + k);
        for (int m = 0; m < M; ++m) {
            const Floats input = load(x + (row + m) * w.inputs + k);
            for (int n = 0; n < N; ++n) sums[m][n] = fma(weights[n], input, sums[m][n]);
        }
    }
    for (int m = 0; m < M; ++m) {
        float results[N];
        for (int n = 0; n < N; ++n) results[n] = total(sums[m][n]);
        put(to, row + m, w.bias, output, N, results);
    }
}

template <int KIND, int N>
void plain_rows(const Weight& w, int64_t output, const float* x, int64_t row, int64_t end,
                const Target& to) {
    for (; row + 4 <= end; row += 4) plain_tile<KIND, 4, N>(w, output, x, row, to);
    for (; row < end; ++row) plain_tile<KIND, 1, N>(w, output, x, row, to);
}

template <int KIND>
void plain_strip(const Weight& w, int64_t strip, const float* x, int64_t row, int64_t end,
                 const Target& to) {
    int64_t output = strip * STRIP;
    const int64_t last = std::min(w.outputs, output + STRIP);
    for (; output + 4 <= last; output += 4) plain_rows<KIND, 4>(w, output, x, row, end, to);
    for (; output < last; ++output) plain_rows<KIND, 1>(w, output, x, row, end, to);
}

bool is_packed(const Weight& w) { return w.kind <= INT8_ROWS; }

// One strip of outputs for the rows [row, end).
void multiply(const Weight& w, int64_t strip, const float* x, const Rows& fixed, int64_t row,
              int64_t end, const Target& to) {
    switch (w.kind) {
        case INT4_POINTS: return packed_strip<INT4_POINTS>(w, strip, fixed, row, end, to);
        case INT4_EIGHT: return packed_strip<INT4_EIGHT>(w, strip, fixed, row, end, to);
        case INT4_MINIMA: return packed_strip<INT4_MINIMA>(w, strip, fixed, row, end, to);
        case INT8_GROUPS: return packed_strip<INT8_GROUPS>(w, strip, fixed, row, end, to);
        case INT8_ROWS: return packed_strip<INT8_ROWS>(w, strip, fixed, row, end, to);
        case FLOAT16: return plain_strip<FLOAT16>(w, strip, x, row, end, to);
        case BFLOAT16: return plain_strip<BFLOAT16>(w, strip, x, row, end, to);
        default: return plain_strip<FLOAT32>(w, strip, x, row, end, to);
    }
}

int64_t strips_of(const Weight& w) { return (w.outputs + STRIP - 1) / STRIP; }

}  // namespace

extern "C" {

// y [rows, all outputs] = x [rows, K] times each of `count` weights, side by side. The packed
// ones among them have one group size. With `adds` the products are added to y.
struct Product {
    const Weight* weights;
    int64_t count;
    const float* x;
    int64_t rows;
    float* y;
    int32_t adds, planes, threads;
};

void aira_product(const Product* product) {
    static thread_local Rows fixed;
    const Product& p = *product;
    const int64_t inputs = p.weights[0].inputs;
    int64_t width = 0, strips = 0, group = 0;
    for (int64_t i = 0; i < p.count; ++i) {
        width += p.weights[i].outputs;
        strips += strips_of(p.weights[i]);
        if (is_packed(p.weights[i])) group = p.weights[i].group;
    }
    Rows& shared = fixed;  // inside a task the name would be that thread's own
    if (group) {
        shared.planes = p.planes;
        shared.resize(p.rows, inputs, group);
        pool().run(p.rows, p.rows > 8 ? p.threads : 1,
                   [&](int64_t row) { round_row(p.x, row, inputs, shared); });
    }
    // Several strips to a task keep the streams from memory long, and rows stay near while the
    // strips pass them.
    const int64_t size = std::max<int64_t>(1, strips / (p.threads * 4));
    const int64_t near = std::max<int64_t>(16, NEAR / (inputs * p.planes) / 8 * 8);
    pool().run((strips + size - 1) / size, p.threads, [&](int64_t task) {
        const int64_t last = std::min(strips, (task + 1) * size);
        for (int64_t row = 0; row < p.rows; row += near)
            for (int64_t at = task * size; at < last; ++at) {
                int64_t strip = at, column = 0;
                const Weight* w = p.weights;
                for (; strip >= strips_of(*w); ++w) strip -= strips_of(*w), column += w->outputs;
                multiply(*w, strip, p.x, shared, row, std::min(p.rows, row + near),
                         {p.y + column, width, p.adds != 0});
            }
    });
}

}  // extern "C"
