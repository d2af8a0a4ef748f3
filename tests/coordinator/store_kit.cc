// What the tests of the store share.
#include "store_kit.h"

#include <fmt/format.h>

#include "base/check.h"

namespace regatta {

StoredRace::StoredRace(const std::string& search, const std::string& objective)
    : folder_(TemporaryDirectory::make().value()),
      experiment_(make_experiment(search, objective)),
      study_(make_study(experiment_)) {
  auto store = Store::create(folder(), experiment_);
  CHECK(store.ok(), store.error().message);
  store_ = std::move(store).value();
}

void StoredRace::run(const SimulationOptions& options, const std::function<void()>& after) {
  SimulatedCrews crews(experiment_, options);
  while (!study_->ended()) {
    const Reaction reaction = study_->handle(*crews.next(), crews.now());
    const Status stored = store_->append(reaction.events, *study_);
    CHECK(stored.ok(), stored.error().message);
    log_.insert(log_.end(), reaction.events.begin(), reaction.events.end());
    if (after) {
      after();
    }
    for (const Command& command : reaction.commands) {
      crews.carry_out(command);
    }
  }
}

void StoredRace::close_store() {
  const Status closed = store_->close();
  CHECK(closed.ok(), closed.error().message);
  store_.reset();
}

std::vector<std::string> describe(std::span<const TimedEvent> events) {
  std::vector<std::string> texts;
  for (const TimedEvent& event : events) {
    const EncodedEvent encoded = encode(event.event);
    texts.push_back(fmt::format("{} {} {}", event.at.count(), encoded.kind, encoded.body));
  }
  return texts;
}

}  // namespace regatta
