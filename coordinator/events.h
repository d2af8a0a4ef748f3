// The facts of a study. They are appended to the store before anything that follows from them is sent;
// replaying them in order rebuilds the study exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "search/trial.h"

namespace regatta {

using AttemptId = std::int64_t;                               // from 1, over the whole study
using Metrics = std::vector<std::pair<std::string, double>>;  // in the reporter's order; may hold NaN

// How an attempt ended.
enum class Outcome {
  paused,       // the scheduler keeps the trial for later
  complete,     // the trial is done as planned, or ended by itself
  stopped,      // the scheduler ended the trial early
  diverged,     // the objective became NaN or infinite: the trial's own failure
  failed,       // the trial's program or data failed in a way that another try would repeat
  invalid,      // the point cannot be built
  lost,         // the crew died: counts towards max_attempts
  preempted,    // the crew was taken away: does not count
  interrupted,  // the study was asked to stop; a checkpoint is there
};
const char* to_string(Outcome outcome);

struct TrialProposed {
  int trial = 0;
  Point point;
  int bracket = 0;
  std::optional<int> parent;  // it begins with this trial's newest checkpoint
};
struct AttemptStarted {
  AttemptId attempt = 0;
  int trial = 0;
  std::string crew;
  int until_epoch = 0;
  std::string checkpoint;  // to go on from, relative to the study's folder; empty: from the start
  // Of a new trial that has waited for a crew of its shape: where the scheduler puts it now. Else it is in
  // the bracket that it was proposed for.
  std::optional<int> bracket;
};
// What the card of a crew's leader was doing when an epoch ended.
struct CardLoad {
  std::optional<std::uint64_t> memory_bytes;  // in use on the card, by whichever process
  std::optional<double> utilization;          // 0 to 1
};
// Once for each (trial, epoch); what the scheduler makes of it follows from the state and is not stored.
struct Reported {
  AttemptId attempt = 0;
  int trial = 0;
  int epoch = 0;  // from 1
  Metrics metrics;
  std::string checkpoint;  // durable when the report was sent; empty: none for this epoch
  double seconds = 0;      // spent on this epoch
  CardLoad card;           // empty on CPUs
};
struct AttemptEnded {
  AttemptId attempt = 0;
  int trial = 0;
  Outcome outcome = Outcome::lost;
  std::string checkpoint;  // newer than the last report's; empty: that one is the newest
  std::string message;     // why, for people
};
// The best model was measured on the test data and written out.
struct TestMeasured {
  int trial = 0;
  Metrics metrics;
  std::string model;  // relative to the study's folder
};
struct StudyEnded {
  enum class Reason { finished, target_reached, time_over, failed, interrupted };
  Reason reason = Reason::finished;
  std::string message;
};
const char* to_string(StudyEnded::Reason reason);
// The user went on with a study: more trials allowed, failed trials tried again.
struct StudyResumed {
  bool retry_failed = false;
};
// No new trial will be started, and the scheduler was told so.
struct SearchClosed {
  bool exhausted = false;  // the sampler has no more points; else the limit of trials is reached
};
// A study that was closed or had ended may start trials after all: a new scheduler takes over, as for the
// next round.
struct SearchReopened {};

using Event = std::variant<TrialProposed, AttemptStarted, Reported, AttemptEnded, TestMeasured, StudyEnded,
                           StudyResumed, SearchClosed, SearchReopened>;

struct TimedEvent {
  Microseconds at{0};  // wall time
  Event event;
};

// For the store: a kind ("attempt_started") and a JSON body. docs/store.md lists them.
struct EncodedEvent {
  std::string kind;
  std::string body;
};
EncodedEvent encode(const Event& event);
Result<Event> decode(const EncodedEvent& encoded);

// The text with what is not UTF-8 replaced: messages quote programs, and must read back as they were written.
std::string valid_text(std::string text);

}  // namespace regatta
