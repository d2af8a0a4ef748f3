// For hot loops: the function is compiled for AVX-512, AVX2 and plain x86-64, and the machine's best is
// chosen when the program starts. All versions give the same bits, because C++ without extensions does not
// contract a * b + c; except that reductions marked `omp simd` sum in an order that depends on the vector's
// length.
#pragma once

// The choice is made before a sanitizer's runtime is up, so sanitized builds go without.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__clang__)
#define REGATTA_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define REGATTA_MULTIVERSION
#endif
