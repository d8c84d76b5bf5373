// Sixteen 32-bit lanes, in one AVX-512 register or in two of AVX2, under one set of names.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t LANES = 16;

// ---- Sixteen 32-bit lanes, in one register or in two ---------------------------------------

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)

constexpr int MOST_SUMS = 8;  // pairs of registers that a product may add in
using Ints = __m512i;
using Floats = __m512;

inline Ints no_ints() { return _mm512_setzero_si512(); }
inline Ints load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
inline Ints low_halves(Ints v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
inline Ints high_halves(Ints v) { return low_halves(_mm512_srli_epi16(v, 4)); }
inline Ints four(const int8_t* p) {
    int32_t bytes;
    std::memcpy(&bytes, p, 4);
    return _mm512_set1_epi32(bytes);
}
template <int BITS>
inline Ints dot(Ints sum, Ints weights, Ints inputs) {
    return _mm512_dpbusd_epi32(sum, weights, inputs);
}
inline Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints times_256(Ints v) { return _mm512_slli_epi32(v, 8); }
inline Ints less(Ints v, int32_t n) { return _mm512_sub_epi32(v, _mm512_set1_epi32(n)); }
inline Floats floats(Ints v) { return _mm512_cvtepi32_ps(v); }
inline Floats all(float v) { return _mm512_set1_ps(v); }
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
inline Floats from_float16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline Floats from_bfloat16(const uint16_t* p) {
    __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
inline Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats minus(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats over(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats largest(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats smallest(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats magnitude(Floats a) { return _mm512_abs_ps(a); }
inline Ints rounded(Floats a) { return _mm512_cvtps_epi32(a); }
inline float total(Floats a) { return _mm512_reduce_add_ps(a); }
inline float top(Floats a) { return _mm512_reduce_max_ps(a); }
inline int32_t total(Ints a) { return _mm512_reduce_add_epi32(a); }
inline void store_bytes(int8_t* p, Ints v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
}
inline Ints high_byte(Ints v) {
    return _mm512_srai_epi32(_mm512_add_epi32(v, _mm512_set1_epi32(128)), 8);
}
inline Ints low_byte(Ints v, Ints hi) { return _mm512_sub_epi32(v, _mm512_slli_epi32(hi, 8)); }
inline Floats power_of_two(Ints exponent) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(exponent, _mm512_set1_epi32(127)), 23));
}

#else  // AVX2 with FMA and F16C: two registers stand for one

constexpr int MOST_SUMS = 4;
struct Ints { __m256i a, b; };
struct Floats { __m256 a, b; };

inline Ints no_ints() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Ints load_bytes(const uint8_t* p) {
    const __m256i* q = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
inline Ints low_halves(Ints v) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(v.a, mask), _mm256_and_si256(v.b, mask)};
}
inline Ints high_halves(Ints v) {
    return low_halves({_mm256_srli_epi16(v.a, 4), _mm256_srli_epi16(v.b, 4)});
}
inline Ints four(const int8_t* p) {
    int32_t bytes;
    std::memcpy(&bytes, p, 4);
    return {_mm256_set1_epi32(bytes), _mm256_set1_epi32(bytes)};
}
inline __m256i pairs(__m256i weights, __m256i inputs) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(weights, inputs), _mm256_set1_epi16(1));
}
inline __m256i half_dot(__m256i sum, __m256i weights, __m256i inputs) {
    return _mm256_add_epi32(sum, pairs(weights, inputs));
}
template <int BITS>
inline Ints dot(Ints sum, Ints weights, Ints inputs) {
    if constexpr (BITS == 4) {
        return {half_dot(sum.a, weights.a, inputs.a), half_dot(sum.b, weights.b, inputs.b)};
    } else {  // two products of bytes up to 255 overflow 16 bits: the halves go one by one
        Ints low = low_halves(weights), high = high_halves(weights);
        auto wide = [](__m256i s, __m256i l, __m256i h, __m256i x) {
            return _mm256_add_epi32(half_dot(s, l, x), _mm256_slli_epi32(pairs(h, x), 4));
        };
        return {wide(sum.a, low.a, high.a, inputs.a), wide(sum.b, low.b, high.b, inputs.b)};
    }
}
inline Ints add(Ints x, Ints y) {
    return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
inline Ints times_256(Ints v) { return {_mm256_slli_epi32(v.a, 8), _mm256_slli_epi32(v.b, 8)}; }
inline Ints less(Ints v, int32_t n) {
    const __m256i l = _mm256_set1_epi32(n);
    return {_mm256_sub_epi32(v.a, l), _mm256_sub_epi32(v.b, l)};
}
inline Floats floats(Ints v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
inline Floats all(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
inline Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Floats v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}
inline __m128i eight(const uint16_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline Floats from_float16(const uint16_t* p) {
    return {_mm256_cvtph_ps(eight(p)), _mm256_cvtph_ps(eight(p + 8))};
}
inline __m256 widened(__m128i v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
inline Floats from_bfloat16(const uint16_t* p) { return {widened(eight(p)), widened(eight(p + 8))}; }
inline Floats times(Floats x, Floats y) {
    return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
inline Floats plus(Floats x, Floats y) {
    return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
inline Floats minus(Floats x, Floats y) {
    return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
inline Floats over(Floats x, Floats y) {
    return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
inline Floats fma(Floats x, Floats y, Floats z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Floats largest(Floats x, Floats y) {
    return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
inline Floats smallest(Floats x, Floats y) {
    return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
}
inline Floats magnitude(Floats x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
inline Ints rounded(Floats x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
template <class T, class V>
inline void unload(T* out, V v) { std::memcpy(out, &v, sizeof v); }
inline float total(Floats x) {
    __m256 s = _mm256_add_ps(x.a, x.b);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
inline float top(Floats x) {
    float lanes[LANES];
    unload(lanes, x);
    return *std::max_element(lanes, lanes + LANES);
}
inline int32_t total(Ints x) {
    int32_t lanes[LANES], sum = 0;
    unload(lanes, x);
    for (int32_t lane : lanes) sum += lane;
    return sum;
}
inline void store_bytes(int8_t* p, Ints v) {
    int32_t lanes[LANES];
    unload(lanes, v);
    for (int i = 0; i < LANES; ++i) p[i] = static_cast<int8_t>(lanes[i]);
}
inline __m256i high_byte(__m256i v) {
    return _mm256_srai_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(128)), 8);
}
inline Ints high_byte(Ints v) { return {high_byte(v.a), high_byte(v.b)}; }
inline Ints low_byte(Ints v, Ints hi) {
    return {_mm256_sub_epi32(v.a, _mm256_slli_epi32(hi.a, 8)),
            _mm256_sub_epi32(v.b, _mm256_slli_epi32(hi.b, 8))};
}
inline __m256 power_of_two(__m256i e) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
}
inline Floats power_of_two(Ints e) { return {power_of_two(e.a), power_of_two(e.b)}; }

#endif

// e^x by 2^n * e^r with |r| <= ln 2 / 2 and the series of e^r up to r^7: two units in the last place.
inline Floats exponential(Floats x) {
    x = smallest(largest(x, all(-87.0f)), all(88.0f));
    const Ints n = rounded(times(x, all(1.44269504f)));
    const Floats whole = floats(n);
    const Floats r = fma(whole, all(-1.42860677e-6f), fma(whole, all(-0.693145752f), x));
    Floats sum = all(1.0f / 5040);
    for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
        sum = fma(sum, r, all(c));
    return times(sum, power_of_two(n));
}

}  // namespace
