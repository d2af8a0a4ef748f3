// The lock tells whether a coordinator lives, coordinator.json where it listens.
#include "cli/guest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/host.h"
#include "base/seconds.h"
#include "base/shared_file.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "coordinator/store.h"
#include "coordinator/study_lock.h"
#include "protocol/keys.h"

namespace regatta {
namespace {

constexpr Microseconds kLook = std::chrono::milliseconds(500);
constexpr int kMostNames = 1000;

bool is_loopback(const std::string& endpoint) {
  return endpoint.starts_with("tcp://127.") || endpoint.starts_with("tcp://localhost:") ||
         endpoint.starts_with("tcp://[::1]:");
}

// Whether it says that it listens; nullopt: not yet, or what is there is an earlier one's.
Result<std::optional<CoordinatorAddress>> address_of(const std::filesystem::path& study,
                                                     const LockOwner& owner) {
  const auto address = read_address(study);
  if (!address.ok() || address->host != owner.host || address->process_id != owner.process) {
    return std::optional<CoordinatorAddress>();
  }
  if (is_loopback(address->endpoint) && address->host != host_name()) {
    return user_mistake(fmt::format(
        "the coordinator, process {} on host {}, listens on its loopback interface only, where no other host "
        "reaches it: stop the study, and go on with it by 'regatta resume --set resources.listen=all', "
        "or with an address or a network interface of that host in place of all",
        owner.process, owner.host));
  }
  return std::optional(*address);
}

Result<bool> has_ended(const std::filesystem::path& study) {
  ASSIGN_OR_RETURN(const StoredStudy stored, Store::read(study));
  std::optional<StudyEnded> ended;
  for (const TimedEvent& event : stored.events) {
    if (const auto* end = std::get_if<StudyEnded>(&event.event)) {
      ended = *end;
    } else if (std::holds_alternative<StudyResumed>(event.event)) {
      ended.reset();
    }
  }
  return ended && ended->reason != StudyEnded::Reason::interrupted;
}

}  // namespace

// Another host's coordinator lives if it renews its lock while it is watched.
Result<bool> await_coordinator(const std::filesystem::path& study, Microseconds limit) {
  const SystemClock clock;
  const Deadline deadline(clock, limit);
  std::string first_text;
  bool told = false;
  while (!deadline.passed()) {
    const auto owner = find_lock_owner(study);
    if (!owner) {
      ASSIGN_OR_RETURN(const bool ended, has_ended(study));
      if (ended) {
        return false;
      }
    }
    if (owner && first_text.empty()) {
      first_text = owner->text;
    }
    const bool lives = owner && (owner->life == LockOwner::Life::alive ||
                                 (owner->life == LockOwner::Life::elsewhere && owner->text != first_text));
    if (lives) {
      ASSIGN_OR_RETURN(const auto address, address_of(study, *owner));
      if (address) {
        return true;
      }
    }
    if (!std::exchange(told, true)) {
      print_to(stderr, "waiting up to {} for the coordinator of {}{}\n", format_duration(in_seconds(limit)),
               study.string(),
               owner ? fmt::format(": process {} on host {}", owner->process, owner->host) : "");
    }
    pause_for(kLook);
  }
  return timed_out(fmt::format("no coordinator of {} was there; start one with: {}", study.string(),
                               resume_command(study)));
}

Result<std::string> claim_guest_name(const std::filesystem::path& study) {
  const std::string process = fmt::format("guest-{}-{}", host_name(), ::getpid());
  for (int number = 1; number < kMostNames; ++number) {
    const std::string name = number == 1 ? process : fmt::format("{}.{}", process, number);
    const int log = ::open(crew_log(study, name).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (log >= 0) {
      ::close(log);
      return name;
    }
    if (errno != EEXIST) {
      return failure(fmt::format("cannot make {}: {}", crew_log(study, name).string(), std::strerror(errno)));
    }
  }
  return failure(fmt::format("all names like {} are taken in {}", process, study.string()));
}

}  // namespace regatta
