// The library: products (products.h), attention (attention.h) and what lies between them.

#include "attention.h"
#include "lanes.h"
#include "pool.h"
#include "products.h"

extern "C" {

// Row by row on x [rows, size]; what else is needed depends on the function.
struct Rowwise {
    const float *x, *weight, *bias;
    float* y;
    int64_t rows, size;
    float eps;
    int32_t threads;
};

// y = weight * x / sqrt(mean(x^2) + eps) (Zhang and Sennrich 2019).
void aira_rms_norm(const Rowwise* call) {
    const Rowwise& c = *call;
    pool().run(c.rows, c.rows > 8 ? c.threads : 1, [&](int64_t row) {
        const float* x = c.x + row * c.size;
        Floats squares = all(0.0f);
        for (int64_t i = 0; i < c.size; i += LANES) squares = fma(load(x + i), load(x + i), squares);
        const Floats factor = all(1.0f / std::sqrt(total(squares) / c.size + c.eps));
        for (int64_t i = 0; i < c.size; i += LANES)
            store(c.y + row * c.size + i, times(load(c.weight + i), times(load(x + i), factor)));
    });
}

// y = weight * (x - mean) / sqrt(variance + eps) + bias (Ba et al. 2016).
void aira_layer_norm(const Rowwise* call) {
    const Rowwise& c = *call;
    pool().run(c.rows, c.rows > 8 ? c.threads : 1, [&](int64_t row) {
        const float* x = c.x + row * c.size;
        Floats sum = all(0.0f), squares = all(0.0f);
        for (int64_t i = 0; i < c.size; i += LANES) sum = plus(sum, load(x + i));
        const Floats mean = all(total(sum) / c.size);
        for (int64_t i = 0; i < c.size; i += LANES) {
            const Floats away = minus(load(x + i), mean);
            squares = fma(away, away, squares);
        }
        const Floats factor = all(1.0f / std::sqrt(total(squares) / c.size + c.eps));
        for (int64_t i = 0; i < c.size; i += LANES) {
            const Floats away = times(minus(load(x + i), mean), factor);
            store(c.y + row * c.size + i, fma(away, load(c.weight + i), load(c.bias + i)));
        }
    });
}

// y = silu(gate) * up, for rows of gate and up side by side, `size` numbers each.
void aira_silu_times(const Rowwise* call) {
    const Rowwise& c = *call;
    pool().run(c.rows, c.rows * c.size > 1 << 15 ? c.threads : 1, [&](int64_t row) {
        const float *gate = c.x + row * 2 * c.size, *up = gate + c.size;
        for (int64_t i = 0; i < c.size; i += LANES) {
            const Floats g = load(gate + i);
            const Floats below = plus(all(1.0f), exponential(minus(all(0.0f), g)));
            store(c.y + row * c.size + i, times(over(g, below), load(up + i)));
        }
    });
}

// y = x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), the tanh form of GELU (Hendrycks 2016).
void aira_gelu(const Rowwise* call) {
    const Rowwise& c = *call;
    const Floats cubic = all(0.044715f), slope = all(-1.5957691216f);
    pool().run(c.rows, c.rows * c.size > 1 << 15 ? c.threads : 1, [&](int64_t row) {
        for (int64_t i = row * c.size; i < (row + 1) * c.size; i += LANES) {
            const Floats x = load(c.x + i);
            const Floats inner = times(x, fma(times(cubic, x), x, all(1.0f)));
            const Floats below = plus(all(1.0f), exponential(times(slope, inner)));
            store(c.y + i, over(x, below));
        }
    });
}

// A function above and its argument. A list of them is a step that was recorded.
struct Call {
    void (*function)(const void*);
    const void* argument;
};

void aira_replay(const Call* calls, int64_t count) {
    for (int64_t i = 0; i < count; ++i) calls[i].function(calls[i].argument);
}

}  // extern "C"
