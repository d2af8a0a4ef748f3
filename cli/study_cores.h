// The CPUs that a study's own processes have on this host, claimed so that guests and other studies keep
// away.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "devices/core_claims.h"

namespace regatta {

struct StudyClaim {
  std::optional<CpuClaim> claim;
  std::string warning;  // that others have them too, or nobody can tell; a sentence without an end, or empty
};

// They are the study's, whoever else has them. `study`: its folder.
StudyClaim claim_for_study(const std::filesystem::path& study, const CpuSet& cpus);

// Of a rank that runs where it will stay: these CPUs. nullopt where they are not its own, because its
// environment binds threads elsewhere or it may not use all of them at once. The log has the warning.
std::optional<CpuClaim> claim_own_cpus(const std::filesystem::path& study);

}  // namespace regatta
