// Masks travel as bits of fixed size, so that one allgather carries them.
#include "worker/rank_cpus.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/host.h"
#include "base/log.h"
#include "devices/core_assignment.h"

namespace regatta {
namespace {

constexpr std::size_t kWordBits = 64;

struct Card {
  std::array<char, 256> host{};
  std::array<std::uint64_t, 64> bits{};
  std::int32_t limit = 0;
};

Card card_of(const CpuSet& cpus) {
  Card card;
  host_name().copy(card.host.data(), card.host.size() - 1);
  card.limit = cpu_limit().value_or(0);
  for (const int cpu : cpus) {
    const auto number = static_cast<std::size_t>(cpu);
    if (number / kWordBits < card.bits.size()) {
      card.bits[number / kWordBits] |= std::uint64_t{1} << number % kWordBits;
    }
  }
  return card;
}

RankMask mask_of(const Card& card) {
  RankMask mask{.host = card.host.data(), .cpus = {}, .limit = card.limit};
  for (std::size_t number = 0; number < card.bits.size() * kWordBits; ++number) {
    if ((card.bits[number / kWordBits] >> number % kWordBits & 1) != 0) {
      mask.cpus.push_back(static_cast<int>(number));
    }
  }
  return mask;
}

}  // namespace

Result<std::vector<RankMask>> gather_cpus(Communicator& communicator, const CpuSet& cpus) {
  const Card mine = card_of(cpus);
  std::vector<Card> cards(static_cast<std::size_t>(communicator.size()));
  RETURN_IF_ERROR(
      communicator.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(cards))));
  std::vector<RankMask> masks;
  for (const Card& card : cards) {
    masks.push_back(mask_of(card));
  }
  return masks;
}

Result<std::vector<RankMask>> gather_masks(Communicator& communicator, bool computes) {
  return gather_cpus(communicator, computes ? allowed_cpus() : CpuSet());
}

int cores_of_host(std::span<const RankMask> masks, int rank) {
  const RankMask& mine = masks[static_cast<std::size_t>(rank)];
  CpuSet all;
  for (const RankMask& other : masks) {
    if (other.host == mine.host) {
      all = united(all, other.cpus);
    }
  }
  const int cores = static_cast<int>(all.size());
  return std::max(1, mine.limit > 0 ? std::min(cores, mine.limit) : cores);
}

std::optional<Sharers> sharers_of(std::span<const RankMask> masks, int rank) {
  const RankMask& mine = masks[static_cast<std::size_t>(rank)];
  Sharers sharers{.index = 0, .of = 0};
  for (std::size_t other = 0; other < masks.size(); ++other) {
    if (masks[other].host != mine.host || intersected(masks[other].cpus, mine.cpus).empty()) {
      continue;
    }
    if (masks[other].cpus != mine.cpus) {
      return std::nullopt;
    }
    sharers.index += other < static_cast<std::size_t>(rank) ? 1 : 0;
    ++sharers.of;
  }
  return sharers.of > 1 ? std::optional(sharers) : std::nullopt;
}

Status divide_cpus(Communicator& communicator, const DivideOptions& options) {
  ASSIGN_OR_RETURN(const auto masks, gather_masks(communicator, options.computes));
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const auto sharers = sharers_of(masks, communicator.rank());
  const auto limit = static_cast<std::size_t>(masks[rank].limit);
  const bool is_limited = limit > 0 && limit < masks[rank].cpus.size();
  if (!sharers || is_limited) {
    return {};
  }
  const int ranks = sharers->of % options.ranks == 0 ? options.ranks : 1;
  const auto dealt = deal_cores(find_cores(masks[rank].cpus),
                                {.crews = sharers->of / ranks, .ranks = ranks, .threads = options.threads});
  if (dealt.empty()) {
    return {};
  }
  const CpuSet& cpus = dealt[static_cast<std::size_t>(sharers->index / ranks)]
                            [static_cast<std::size_t>(sharers->index % ranks)];
  spdlog::debug("rank {} runs on CPUs {}", rank, format_cpus(cpus));
  return run_on(cpus);
}

}  // namespace regatta
