// The coordinator claims what it deals, before there are crews and while they are started again; each rank
// what it runs on, because it may be on another host, or outlive the coordinator.
#include "cli/study_cores.h"

#include <fmt/format.h>

#include "base/host.h"
#include "base/log.h"
#include "cluster/binding.h"

namespace regatta {

StudyClaim claim_for_study(const std::filesystem::path& study, const CpuSet& cpus) {
  CpuSet shared;
  const auto take = [&](const CpuSet& taken) {
    shared = intersected(cpus, taken);
    return cpus;
  };
  std::error_code none;
  auto claim =
      claim_cpus(take, {.folder = {}, .study = std::filesystem::weakly_canonical(study, none).string()});
  if (!claim.ok()) {
    return {
        .claim = std::nullopt,
        .warning = fmt::format("crews that join, and other studies, may use the same CPUs of this host: {}",
                               claim.error().message)};
  }
  StudyClaim made{.claim = std::move(claim).value(), .warning = {}};
  if (!shared.empty()) {
    made.warning = fmt::format(
        "another study, or crews that have joined one, have CPUs {} of this host too, and all of them "
        "will be slower: give each its own (taskset -c), or end one",
        format_cpus(shared));
  }
  return made;
}

std::optional<CpuClaim> claim_own_cpus(const std::filesystem::path& study) {
  const CpuSet cpus = allowed_cpus();
  const auto limit = cpu_limit();
  if (!binding_variable().empty() || (limit && static_cast<std::size_t>(*limit) < cpus.size())) {
    return std::nullopt;
  }
  StudyClaim made = claim_for_study(study, cpus);
  if (!made.warning.empty()) {
    spdlog::warn("{}", made.warning);
  }
  return std::move(made.claim);
}

}  // namespace regatta
