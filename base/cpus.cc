// sched_setaffinity(2), with masks as large as the kernel's own.
#include "base/cpus.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>

namespace regatta {
namespace {

constexpr int kMostCpus = 1 << 20;

// A mask for `count` CPUs.
class Mask {
 public:
  explicit Mask(int count)
      : set_(CPU_ALLOC(static_cast<std::size_t>(count))),
        bytes_(CPU_ALLOC_SIZE(static_cast<std::size_t>(count))) {
    CPU_ZERO_S(bytes_, set_);
  }
  ~Mask() { CPU_FREE(set_); }
  Mask(const Mask&) = delete;
  Mask& operator=(const Mask&) = delete;

  cpu_set_t* set() const { return set_; }
  std::size_t bytes() const { return bytes_; }

 private:
  cpu_set_t* set_;
  std::size_t bytes_;
};

// A number at the front of `text`, which it loses.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0 || number >= kMostCpus) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

std::string format_cpus(const CpuSet& cpus) {
  std::string text;
  for (std::size_t begin = 0; begin < cpus.size();) {
    std::size_t end = begin + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) {
      ++end;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ",", cpus[begin]);
    if (end - begin > 1) {
      text += fmt::format("-{}", cpus[end - 1]);
    }
    begin = end;
  }
  return text;
}

Result<CpuSet> parse_cpus(std::string_view text) {
  const Error wrong = user_mistake(fmt::format("'{}' is no list of CPUs such as 0-3,8", text));
  CpuSet cpus;
  std::string_view rest = text;
  while (true) {
    const auto first = take_number(rest);
    if (!first) {
      return wrong;
    }
    int last = *first;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      const auto end = take_number(rest);
      if (!end || *end < *first) {
        return wrong;
      }
      last = *end;
    }
    for (int cpu = *first; cpu <= last; ++cpu) {
      cpus.push_back(cpu);
    }
    if (rest.empty()) {
      break;
    }
    if (!rest.starts_with(',')) {
      return wrong;
    }
    rest.remove_prefix(1);
  }
  std::ranges::sort(cpus);
  const auto repeated = std::ranges::unique(cpus);
  cpus.erase(repeated.begin(), repeated.end());
  return cpus;
}

CpuSet united(const CpuSet& first, const CpuSet& second) {
  CpuSet both;
  std::ranges::set_union(first, second, std::back_inserter(both));
  return both;
}

CpuSet intersected(const CpuSet& first, const CpuSet& second) {
  CpuSet both;
  std::ranges::set_intersection(first, second, std::back_inserter(both));
  return both;
}

CpuSet allowed_cpus() {
  // The kernel refuses a mask smaller than its own, so the size grows until it fits.
  for (int count = 1024; count <= kMostCpus; count *= 2) {
    const Mask mask(count);
    if (::sched_getaffinity(0, mask.bytes(), mask.set()) != 0) {
      continue;
    }
    CpuSet cpus;
    for (int cpu = 0; cpu < count; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), mask.bytes(), mask.set())) {
        cpus.push_back(cpu);
      }
    }
    return cpus;
  }
  return {0};
}

Status run_on(const CpuSet& cpus) {
  const Mask mask(cpus.empty() ? 1 : cpus.back() + 1);
  for (const int cpu : cpus) {
    CPU_SET_S(static_cast<std::size_t>(cpu), mask.bytes(), mask.set());
  }
  if (::sched_setaffinity(0, mask.bytes(), mask.set()) != 0) {
    return failure(fmt::format("cannot run on CPUs {}: {}", format_cpus(cpus), std::strerror(errno)));
  }
  return {};
}

}  // namespace regatta
