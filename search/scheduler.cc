// The table of schedulers: a new one is registered here and nowhere else.
#include "search/scheduler.h"

#include <array>

#include "search/registry.h"
#include "search/schedulers/asha.h"
#include "search/schedulers/fifo.h"
#include "search/schedulers/freeze_thaw.h"
#include "search/schedulers/hyperband.h"
#include "search/schedulers/pbt.h"
#include "search/schedulers/quantile.h"

namespace regatta {
namespace {

struct SchedulerEntry {
  std::string_view name;
  Result<std::unique_ptr<Scheduler>> (*make)(const Typed& config, const SearchContext& context);
};

constexpr std::array kSchedulers = {
    SchedulerEntry{.name = "fifo", .make = make_fifo},
    SchedulerEntry{.name = "hyperband", .make = make_hyperband},
    SchedulerEntry{.name = "asha", .make = make_asha},
    SchedulerEntry{.name = "pasha", .make = make_pasha},
    SchedulerEntry{.name = "freeze-thaw", .make = make_freeze_thaw},
    SchedulerEntry{.name = "median", .make = make_median},
    SchedulerEntry{.name = "percentile", .make = make_percentile},
    SchedulerEntry{.name = "pbt", .make = make_pbt},
};

}  // namespace

Result<std::unique_ptr<Scheduler>> make_scheduler(const Typed& config, const SearchContext& context) {
  ASSIGN_OR_RETURN(const auto* entry, find_named(kSchedulers, config, "a scheduler"));
  return entry->make(config, context);
}

std::vector<std::string> scheduler_names() { return names_of(kSchedulers); }

}  // namespace regatta
