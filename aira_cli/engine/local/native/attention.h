// Attention of new tokens over a cache of keys and values that they join.

#pragma once

#include "lanes.h"
#include "pool.h"

extern "C" {

// New queries, keys and values and the cache of one layer. Strides count floats; a head's key
// at a position is `head_dim` floats in a row.
struct Attention {
    const float *queries, *keys, *values;  // of the first row, token and head
    int64_t token, head;                   // strides in these three; rows follow their tokens
    float *cached_keys, *cached_values;    // [row][head][position][head_dim]
    int64_t cached_row, cached_head;       // strides
    const float *cosines, *sines;          // [tokens][head_dim], or null: no rotation
    const float* slopes;                   // [heads] of ALiBi, or null
    float* out;                            // [rows][tokens][heads * head_dim]
    const int64_t* past;                   // positions that the cache holds
    int64_t rows, tokens, heads, kv_heads, head_dim;
    int32_t threads;
};

}  // extern "C"

namespace {

// Rotary position embedding (Su et al. 2021) of one head, pairing i with i + D/2.
void rotate(const float* x, const float* cosines, const float* sines, int64_t size, float* y) {
    const int64_t half = size / 2;
    for (int64_t i = 0; i < half; ++i) {
        const float first = x[i], second = x[i + half];
        y[i] = first * cosines[i] - second * sines[i];
        y[i + half] = second * cosines[i + half] + first * sines[i + half];
    }
}

void place(const Attention& a, const float* x, const float* turned, int64_t token, float* y) {
    if (turned)
        rotate(x, a.cosines + token * a.head_dim, a.sines + token * a.head_dim, a.head_dim, y);
    else
        std::memcpy(y, x, a.head_dim * sizeof(float));
}

// Keys and values of the cache, as one query head sees them, and where its results go.
struct Head {
    const float *keys, *values;
    int64_t size;
    float scale, slope;
};

// Scores of Q queries with keys [0, seen), each query's `apart` floats from the last one's. A
// head has BLOCKS times 16 numbers, or any if that is 0.
template <int Q, int BLOCKS>
void score(const Head& head, const float* queries, int64_t seen, int64_t apart, float* scores) {
    const int64_t blocks = BLOCKS ? BLOCKS : head.size / LANES;
    for (int64_t s = 0; s < seen; ++s) {
        const float* key = head.keys + s * head.size;
        Floats sums[Q];
        for (Floats& sum : sums) sum = all(0.0f);
        for (int64_t i = 0; i < blocks; ++i) {
            const Floats part = load(key + i * LANES);
            for (int q = 0; q < Q; ++q)
                sums[q] = fma(load(queries + q * head.size + i * LANES), part, sums[q]);
        }
        for (int q = 0; q < Q; ++q)
            scores[q * apart + s] = total(sums[q]) * head.scale + head.slope * s;
    }
}

// scores -> weights in place, [padded] numbers in whole registers; one over their sum.
float weigh(float* scores, int64_t padded) {
    Floats most = all(-INFINITY), sum = all(0.0f);
    for (int64_t i = 0; i < padded; i += LANES) most = largest(most, load(scores + i));
    const Floats highest = all(top(most));
    for (int64_t i = 0; i < padded; i += LANES) {
        const Floats e = exponential(minus(load(scores + i), highest));
        store(scores + i, e);
        sum = plus(sum, e);
    }
    return 1.0f / total(sum);
}

// The values of keys [0, seen) weighed for Q queries, `wide` floats from one result to the next.
template <int Q, int BLOCKS>
void mix(const Head& head, const float* weights, int64_t seen, int64_t apart, const float* units,
         int64_t wide, float* out) {
    constexpr int64_t STEP = BLOCKS ? BLOCKS : 1;
    for (int64_t d = 0; d < head.size; d += STEP * LANES) {
        Floats sums[Q][STEP];
        for (int q = 0; q < Q; ++q)
            for (int64_t i = 0; i < STEP; ++i) sums[q][i] = all(0.0f);
        for (int64_t s = 0; s < seen; ++s)
            for (int64_t i = 0; i < STEP; ++i) {
                const Floats value = load(head.values + s * head.size + d + i * LANES);
                for (int q = 0; q < Q; ++q)
                    sums[q][i] = fma(all(weights[q * apart + s]), value, sums[q][i]);
            }
        for (int q = 0; q < Q; ++q)
            for (int64_t i = 0; i < STEP; ++i)
                store(out + q * wide + d + i * LANES, times(sums[q][i], all(units[q])));
    }
}

// Q queries of consecutive tokens, the first of which sees `seen` keys: out [Q][head_dim].
// A weight that is none of a query's own is zero, so its sums are those it would have alone.
template <int Q, int BLOCKS>
void answer(const Head& head, const float* queries, int64_t seen, int64_t wide,
            std::vector<float>& scores, float* out) {
    const int64_t most = seen + Q - 1, padded = (most + LANES - 1) / LANES * LANES;
    if (static_cast<int64_t>(scores.size()) < Q * padded) scores.resize(Q * padded + 1024);
    score<Q, BLOCKS>(head, queries, most, padded, scores.data());
    float units[Q];
    for (int q = 0; q < Q; ++q) {
        float* own = scores.data() + q * padded;
        std::fill(own + seen + q, own + padded, -INFINITY);
        units[q] = weigh(own, padded);
    }
    mix<Q, BLOCKS>(head, scores.data(), most, padded, units, wide, out);
}

template <int Q>
void answer(const Head& head, const float* queries, int64_t seen, int64_t wide,
            std::vector<float>& scores, float* out) {
    if (head.size == 4 * LANES) return answer<Q, 4>(head, queries, seen, wide, scores, out);
    if (head.size == 8 * LANES) return answer<Q, 8>(head, queries, seen, wide, scores, out);
    answer<Q, 0>(head, queries, seen, wide, scores, out);
}

// Puts the new keys and values of one row and key head into the cache.
void remember(const Attention& a, int64_t row, int64_t kv) {
    const int64_t cached = row * a.cached_row + kv * a.cached_head + *a.past * a.head_dim;
    for (int64_t t = 0; t < a.tokens; ++t) {
        const int64_t from = (row * a.tokens + t) * a.token + kv * a.head;
        const int64_t to = cached + t * a.head_dim;
        place(a, a.keys + from, a.cosines, t, a.cached_keys + to);
        place(a, a.values + from, nullptr, t, a.cached_values + to);
    }
}

// The queries of up to QUERIES tokens of one row, for all heads that share a key head.
constexpr int64_t QUERIES = 4;

void attend_group(const Attention& a, int64_t row, int64_t token, int64_t kv,
                  std::vector<float>& scores, std::vector<float>& turned) {
    const int64_t group = a.heads / a.kv_heads, wide = a.heads * a.head_dim;
    const int64_t cached = row * a.cached_row + kv * a.cached_head;
    const int64_t count = std::min(QUERIES, a.tokens - token), seen = *a.past + token + 1;
    turned.resize(QUERIES * a.head_dim);
    for (int64_t h = kv * group; h < (kv + 1) * group; ++h) {
        for (int64_t q = 0; q < count; ++q)
            place(a, a.queries + (row * a.tokens + token + q) * a.token + h * a.head, a.cosines,
                  token + q, turned.data() + q * a.head_dim);
        const Head head{a.cached_keys + cached, a.cached_values + cached, a.head_dim,
                        1.0f / std::sqrt(static_cast<float>(a.head_dim)),
                        a.slopes ? a.slopes[h] : 0.0f};
        float* out = a.out + (row * a.tokens + token) * wide + h * a.head_dim;
        if (count == QUERIES)
            answer<QUERIES>(head, turned.data(), seen, wide, scores, out);
        else
            for (int64_t q = 0; q < count; ++q)
                answer<1>(head, turned.data() + q * a.head_dim, seen + q, wide, scores, out + q * wide);
    }
}

}  // namespace

extern "C" {

// Appends the new keys and values to the cache, then answers every query over what it may see.
void aira_attend(const Attention* attention) {
    const Attention& a = *attention;
    pool().run(a.rows * a.kv_heads, a.tokens > 8 ? a.threads : 1,
               [&](int64_t i) { remember(a, i / a.kv_heads, i % a.kv_heads); });
    const int64_t turns = (a.tokens + QUERIES - 1) / QUERIES;
    pool().run(turns * a.rows * a.kv_heads, a.threads, [&](int64_t i) {
        static thread_local std::vector<float> scores, turned;
        const int64_t at = i / a.kv_heads;
        attend_group(a, at % a.rows, at / a.rows * QUERIES, i % a.kv_heads, scores, turned);
    });
}

}  // extern "C"
