// Fills an AMX tile configuration the way llama.cpp does (ggml-cpu/amx/mmq.cpp) and prints the
// 64 bytes that the tile unit would get. tools/tile_probe.py puts a copy of them into
// `given` in the place of the instruction that loads them, so any x86-64 CPU can run this.

#include <cstdint>
#include <cstdio>
#include <immintrin.h>

struct Configuration {
    uint8_t palette = 0;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {0};
    uint16_t column_bytes[16] = {0};
    uint8_t rows[16] = {0};
};

extern "C" {
unsigned char given[64];
uint64_t saved[2];
}

static inline void load() {
    static thread_local bool done = false;
    if (done) {
        return;
    }
    alignas(64) Configuration configuration = {};
    configuration.palette = 1;
    configuration.start_row = 0;
    configuration.rows[0] = 8;
    configuration.column_bytes[0] = 64;
    configuration.rows[1] = 8;
    configuration.column_bytes[1] = 64;
    configuration.rows[2] = 16;
    configuration.column_bytes[2] = 32;
    configuration.rows[3] = 16;
    configuration.column_bytes[3] = 32;
    configuration.rows[4] = 16;
    configuration.column_bytes[4] = 64;
    configuration.rows[5] = 16;
    configuration.column_bytes[5] = 64;
    configuration.rows[6] = 16;
    configuration.column_bytes[6] = 64;
    configuration.rows[7] = 16;
    configuration.column_bytes[7] = 64;
    _tile_loadconfig(&configuration);
    done = true;
}

// A function of its own: the optimiser takes main for code that need not be fast.
extern "C" __attribute__((noinline)) void fill() { load(); }

int main() {
    fill();
    for (unsigned char byte : given) {
        std::printf("%02x", byte);
    }
    return 0;
}
