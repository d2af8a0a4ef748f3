// Which values dropout keeps: a function of (lane's seed, dropout layer, optimizer step, row of the global
// batch, element), so that it depends neither on the device, nor on lanes, nor on how many ranks share the
// batch.
#pragma once

#include <cstdint>
#include <span>

namespace regatta {

// The random family of one dropout layer (counted from 0 over the network) in one step of one trial.
std::uint64_t dropout_key(std::uint64_t seed, int layer, std::int64_t step);

// Words below it are dropped: rate · 2³², at most 2³² - 1.
std::uint32_t dropout_threshold(double rate);

// mask[e] = 1 where element e of a row is kept, else 0; elements are numbered in row-major order (channel,
// row, column). `row` counts within the global batch. Element e is kept when word e % 4 of philox4x32({c, c
// >> 32, 0, 0}, key), c = row · ⌈elements / 4⌉ + ⌊e / 4⌋, is at least the threshold.
void fill_dropout_mask(std::uint64_t key, double rate, std::int64_t row, std::span<std::uint8_t> mask);

}  // namespace regatta
