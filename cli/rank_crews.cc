// The files are looked at twice a second: what they tell of is rare, and a shared file system is slow.
#include "cli/rank_crews.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "base/file.h"
#include "base/host.h"
#include "base/log.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr Microseconds kLookInterval = std::chrono::milliseconds(500);
// A rank that has left its crew in order writes so a moment later.
constexpr Microseconds kLastWords = std::chrono::seconds(2);

fs::path end_path(const fs::path& study, const std::string& crew) {
  return study / "crews" / (crew + ".end");
}

class RankLauncher final : public Launcher {
 public:
  Status start(const CrewSpec& crew) override {
    folder_ = crew.folder;
    running_.push_back(crew.name);
    return {};
  }

  std::optional<long> process_of(const std::string& /*crew*/) const override { return std::nullopt; }

  std::vector<CrewExit> poll() override {
    if (clock_.monotonic() - looked_ < kLookInterval) {
      return {};
    }
    looked_ = clock_.monotonic();
    std::vector<CrewExit> exits;
    std::erase_if(running_, [&](const std::string& crew) {
      const auto end = crew_end(folder_, crew);
      if (end) {
        exits.push_back({.name = crew,
                         .clean = end->empty(),
                         .reason = end->empty() ? crew + " was dismissed" : crew + ": " + *end});
      }
      return end.has_value();
    });
    return exits;
  }

  void stop_all(Microseconds /*grace*/) override {
    for (const std::string& crew : running_) {
      note_crew_end(folder_, crew, "ended with its study");
    }
  }

 private:
  const SystemClock clock_;
  fs::path folder_;
  std::vector<std::string> running_;
  Microseconds looked_{0};
};

}  // namespace

bool survives_dead_ranks() {
  const char* recovery = std::getenv("OMPI_MCA_orte_enable_recovery");
  return recovery != nullptr && std::string_view(recovery) == "1";
}

bool end_mpirun() {
  const pid_t parent = ::getppid();
  const auto name = read_file(fmt::format("/proc/{}/comm", parent));
  const std::vector<std::string> known = {"mpirun\n", "orterun\n", "mpiexec\n", "prterun\n"};
  if (!name.ok() || std::ranges::find(known, *name) == known.end()) {
    return false;
  }
  ::kill(parent, SIGTERM);
  return true;
}

bool any_crew_lost(const fs::path& study, int crews) {
  for (int crew = 0; crew < crews; ++crew) {
    const auto end = crew_end(study, rank_crew_name(crew));
    if (end && !end->empty()) {
      return true;
    }
  }
  return false;
}

void wait_for_crews(const fs::path& study, int crews) {
  std::mutex mutex;
  std::condition_variable pause;
  for (int crew = 0; crew < crews;) {
    if (crew_end(study, rank_crew_name(crew))) {
      ++crew;
      continue;
    }
    std::unique_lock lock(mutex);
    pause.wait_for(lock, kLookInterval, [] { return false; });
  }
}

std::string rank_crew_name(int crew) { return fmt::format("crew-{}.1", crew); }

void note_crew_end(const fs::path& study, const std::string& crew, const std::string& reason) {
  if (crew_end(study, crew)) {
    return;
  }
  if (const Status written = write_file_atomically(end_path(study, crew), reason); !written.ok()) {
    spdlog::error("cannot note that {} has ended: {}", crew, written.error().message);
  }
}

std::optional<std::string> crew_end(const fs::path& study, const std::string& crew) {
  const auto text = read_file(end_path(study, crew));
  return text.ok() ? std::optional(*text) : std::nullopt;
}

std::unique_ptr<Launcher> make_rank_launcher() { return std::make_unique<RankLauncher>(); }

RankWatch::RankWatch(fs::path study, const CrewRank& mine, const std::vector<CrewRank>& ranks)
    : study_(std::move(study)), mine_(mine) {
  std::vector<CrewRank> after;
  for (const CrewRank& rank : ranks) {
    // Where ranks do not see each other's processes (containers), nothing can be said of them.
    if (rank.host == mine.host && !rank.crew.empty() && may_run(rank.process_id, rank.process_start)) {
      if (rank.rank > mine.rank) {
        next_.push_back(rank);
      } else if (rank.rank < mine.rank) {
        after.push_back(rank);
      }
    }
  }
  next_.insert(next_.end(), after.begin(), after.end());
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void RankWatch::watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any ended;
  while (!stop.stop_requested()) {
    if (const auto end = crew_end(study_, mine_.crew); end && !end->empty()) {
      spdlog::error("{} is lost: {}; its rank {} ends", mine_.crew, *end, mine_.rank);
      ::_exit(0);  // with another code mpirun would take this for one more failure
    }
    look_at_next();
    std::unique_lock lock(mutex);
    ended.wait_for(lock, stop, kLookInterval, [] { return false; });
  }
}

void RankWatch::look_at_next() {
  if (next_.empty() || may_run(next_.front().process_id, next_.front().process_start)) {
    absent_since_.reset();
    return;
  }
  absent_since_ = absent_since_.value_or(clock_.monotonic());
  if (clock_.monotonic() - *absent_since_ < kLastWords) {
    return;
  }
  const CrewRank gone = next_.front();
  next_.erase(next_.begin());
  absent_since_.reset();
  note_crew_end(
      study_, gone.crew,
      fmt::format("rank {} on host {} (process {}) has died", gone.rank, gone.host, gone.process_id));
}

}  // namespace regatta
