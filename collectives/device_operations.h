// Decisions about operations on a device's stream, which run where the host cannot see them: which one is
// late, and what is said then. Knows neither CUDA nor NCCL: how far an operation is, it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

struct DeviceLimits {
  Microseconds join = kStepLimit;       // for all ranks to come, when the communicator is made
  Microseconds operation = kStepLimit;  // from its begin on the device to its end
  Microseconds queue = kFileLimit;      // from the call to its begin on the device: other work goes first
  Microseconds give_up = std::chrono::seconds(10);  // for what runs on the device to be given up
};

// A collective, or a step: a graph that holds several. Numbered from 1, alike on all ranks that call the
// same.
struct DeviceOperation {
  std::string name;
  std::uint64_t number = 0;
  std::size_t bytes = 0;
  Microseconds called{0};
  std::optional<Microseconds> begun;  // seen to run on the device
};

enum class DeviceProgress { queued, begun, ended };

// Not thread-safe. Operations that have not ended are kept in the order of the calls.
class DeviceOperations {
 public:
  DeviceOperations(const Clock& clock, int rank, int size, const DeviceLimits& limits);

  // The operation's number; an error once the communicator is broken.
  Result<std::uint64_t> begin(std::string_view name, std::size_t bytes);
  // What was seen of an operation that has not ended.
  void note(std::uint64_t number, DeviceProgress progress);
  const std::deque<DeviceOperation>& pending() const { return pending_; }

  // Looks at the clock. An error, once: what runs on the device has to be given up, for an operation is late,
  // for `trouble`, which the library tells, or for an earlier fail(). It names rank, operation, number and
  // bytes.
  std::optional<Error> judge(std::string_view trouble = {});
  // A call failed by itself: the communicator is broken from now on.
  Error fail(std::string_view name, std::size_t bytes, std::string_view why);
  bool is_broken() const { return broken_.has_value(); }
  Status status() const;  // the error that broke it

 private:
  const Error& break_with(Error::Kind kind, const DeviceOperation& operation, const std::string& why);
  void judge_lateness();

  const Clock& clock_;
  const int rank_;
  const int size_;
  const DeviceLimits limits_;
  std::uint64_t last_number_ = 0;
  DeviceOperation last_;  // that has ended
  std::deque<DeviceOperation> pending_;
  std::optional<Error> broken_;
  bool has_told_ = false;  // judge() has told of it
};

}  // namespace regatta
